//! The answer: what the first matching rule demands, held against what the registry has.

use std::cell::RefCell;
use std::time::Instant;

use countersign_oci::{Consequence, Location, ResolvedImage};
use countersign_policy::{Demand, Policy, RuleMatch, Ruling, Unmatched};
use countersign_verify::{Error as VerifyError, Evidence, SignedDocument, Verifier};

use super::configuration::Configuration;
use super::decision::Answer;
use super::request::Request;
use super::root;
use crate::connection;
use crate::failure::{Failure, Kind};

/// What is being done, for the reason if there is no time left.
#[derive(Debug, Default)]
pub(super) struct Step(RefCell<String>);

impl Step {
    pub(super) fn begins(&self, name: impl Into<String>) {
        *self.0.borrow_mut() = name.into();
    }

    pub(super) fn name(&self) -> String {
        self.0.borrow().clone()
    }
}

/// Answers by the ruling, before `until`. A failure is a refusal.
pub(super) async fn judge(
    request: &Request,
    ruling: Ruling<'_>,
    configuration: &Configuration,
    step: &Step,
    until: Instant,
) -> Result<Answer, Failure> {
    let Some(RuleMatch { rule, .. }) = ruling.matched else {
        return match configuration.content.default {
            Unmatched::Allow => Ok(Answer::Allowed(
                "no rule matches the image, and the default is `allow`".to_owned(),
            )),
            Unmatched::Deny => Err(Failure::new(
                Kind::Policy,
                unmatched(request, configuration),
            )),
        };
    };
    match &rule.demand {
        Demand::Nothing { reason } => {
            Ok(Answer::Allowed(format!("no signature is needed: {reason}")))
        }
        Demand::Signature(policy) => {
            let evidence = prove(request, policy, configuration, step, until).await?;
            Ok(Answer::Signed(Box::new(evidence)))
        }
    }
}

fn unmatched(request: &Request, configuration: &Configuration) -> String {
    let file = configuration.file.display();
    format!(
        "no rule in {file} matches {}, and the default is `deny`",
        request.reference
    )
}

/// Finds a signature that `policy` accepts: in the copies of the registry, then in the registry itself.
async fn prove(
    request: &Request,
    policy: &Policy,
    configuration: &Configuration,
    step: &Step,
    until: Instant,
) -> Result<Evidence, Failure> {
    let registry = connection::registry(
        &configuration.registry_arguments(),
        &configuration.environment,
    )?;
    step.begins("loading the trusted root");
    let trusted_root = root::load(configuration, Some(policy), registry.connection()).await?;
    let verifier = Verifier::new(registry, trusted_root);
    let verifier = match configuration.signature_cache() {
        Some(cache) => verifier.with_cache(cache),
        None => verifier,
    };
    let mut failure = None;
    let locations = locations(request, configuration);
    let count = u32::try_from(locations.len()).unwrap_or(u32::MAX);
    for (location, left) in locations.iter().zip((1..=count).rev()) {
        step.begins(format!(
            "asking {location} for the image and its signatures"
        ));
        let proving = prove_at(location, request, policy, &verifier);
        // A copy that does not answer leaves time for the others. The last place has all that is left.
        let proven = match left {
            1 => proving.await,
            _ => {
                let share = until.saturating_duration_since(Instant::now()) / left;
                let Ok(proven) = tokio::time::timeout(share, proving).await else {
                    let message = format!("no answer from {location} within {share:.1?}");
                    failure = Some(Failure::new(Kind::Unreachable, message));
                    continue;
                };
                proven
            }
        };
        match proven {
            Ok(evidence) => return Ok(evidence),
            // No other place has a say in that.
            Err(Unproven::Denied(denied)) => return Err(denied),
            // What the registry itself says comes last, and counts.
            Err(Unproven::Here(error)) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| Failure::new(Kind::Internal, "no registry was asked")))
}

/// Why one place proves nothing.
enum Unproven {
    /// The policy denies the image, wherever it is.
    Denied(Failure),
    /// Another place may prove it.
    Here(Failure),
}

impl Unproven {
    fn of(error: VerifyError, image: &ResolvedImage) -> Self {
        match (&error, error.consequence()) {
            (VerifyError::Denied(_), _) => Self::Denied(error.into()),
            // Every place is asked for one digest, so each is a copy. After an error that ends an installation the
            // others are asked all the same: a node pulls from any of them, and what the registry itself says counts.
            (_, Consequence::TryNext | Consequence::TrySameDigest | Consequence::End) => {
                Self::Here(refused(error.into(), image))
            }
        }
    }
}

fn locations(request: &Request, configuration: &Configuration) -> Vec<Location> {
    let own = request.reference.location().clone();
    let copies = match &own {
        Location::Registry(repository) => configuration.content.mirrors(repository),
        Location::Layout(_) => Vec::new(),
    };
    copies
        .into_iter()
        .map(Location::from)
        .chain([own])
        .collect()
}

async fn prove_at(
    location: &Location,
    request: &Request,
    policy: &Policy,
    verifier: &Verifier,
) -> Result<Evidence, Unproven> {
    let asked = request.reference.pinned_to(request.digest.clone());
    let pinned = if location == asked.location() {
        asked
    } else {
        location.at(request.digest.clone()).into()
    };
    let resolved = verifier.resolve(&pinned, policy).await;
    let image = resolved.map_err(|error| Unproven::Here(error.into()))?;
    // Whatever it is fetched from: a signature that names the image has to name what was asked for.
    let image = image.requested_as(request.reference.clone());
    let proof = verifier.verify(&image, policy).await;
    let proof = proof.map_err(|error| Unproven::of(error, &image))?;
    Ok(proof.evidence().clone())
}

/// containerd says nothing of a platform, so nobody knows which of an index's images it will take.
fn refused(failure: Failure, image: &ResolvedImage) -> Failure {
    match (failure.kind, SignedDocument::of(image)) {
        (Kind::Unsigned, SignedDocument::Index) => {
            let found = failure.line();
            Failure::new(
                Kind::Unsigned,
                format!(
                    "{found}; the index itself has to be signed, because containerd doesn't say which of its images \
                     it pulls"
                ),
            )
        }
        _ => failure,
    }
}
