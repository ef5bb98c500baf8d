//! Merges during which one request fails, or all from one on.
//!
//! Each request of a whole run fails in turn, in each of the ways that registries and services fail.
//! Whatever happens, no tag may name anything unsigned, and the next run must end well and add only
//! what is missing.

mod scene;

use std::time::Duration;

use countersign_sandbox::{Effect, Fault, Moment, Service, ServiceFault};
use futures_util::{StreamExt as _, stream};

use self::scene::{Scene, Setting, TAGS};
use crate::common::{PATH, Stage};

/// The index and two images.
const MANIFESTS: usize = 3;
/// Scenarios that are played at once: they mostly wait.
const AT_ONCE: usize = 4;
/// How many scenarios of the walk are played by default.
const SAMPLE: usize = 12;
/// A prime. Scenarios are played in steps of this many, so that the first ones are a sample of all.
const STEP: usize = 7919;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Registry,
    Service(Service),
}

/// How requests fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ill {
    Status(u16),
    Disconnect(Moment),
    Truncate,
    Delay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    /// One request.
    Once,
    /// All until the run ends.
    Lasting,
}

/// What fails in a run.
#[derive(Debug, Clone, Copy)]
struct Scenario {
    setting: Setting,
    place: Place,
    /// Requests there that are served before.
    spared: usize,
    ill: Ill,
    span: Span,
}

const SETTINGS: [Setting; 2] = [Setting::ReferrersApi, Setting::FallbackTags];
const ILLS: [Ill; 8] = [
    Ill::Status(500),
    Ill::Status(502),
    Ill::Status(429),
    Ill::Status(401),
    Ill::Disconnect(Moment::BeforeServing),
    Ill::Disconnect(Moment::AfterServing),
    Ill::Truncate,
    Ill::Delay,
];

impl Ill {
    /// Of what lasts, one that comes before the work and one that comes after it are enough: what
    /// lasts takes long to give up.
    fn spans(self) -> &'static [Span] {
        match self {
            Self::Status(502) | Self::Disconnect(Moment::AfterServing) => {
                &[Span::Once, Span::Lasting]
            }
            Self::Status(_) | Self::Disconnect(_) | Self::Truncate | Self::Delay => &[Span::Once],
        }
    }
}

impl Scenario {
    fn arm(self, stage: &Stage) {
        let times = match self.span {
            Span::Once => 1,
            Span::Lasting => 10_000,
        };
        match self.place {
            Place::Registry => {
                let effect = match self.ill {
                    Ill::Status(429) => Effect::too_many_requests(0),
                    Ill::Status(status) => Effect::status(status),
                    Ill::Disconnect(moment) => Effect::Disconnect(moment),
                    Ill::Truncate => Effect::Truncate { after: 1 },
                    Ill::Delay => Effect::Delay(Duration::from_millis(300)),
                };
                let fault = Fault::on("*", effect).after(self.spared).times(times);
                stage.registry.add_fault(fault);
            }
            Place::Service(service) => {
                let fault = match self.ill {
                    Ill::Status(status) => ServiceFault::Refuse {
                        status: status.try_into().unwrap(),
                        retry_after: (status == 429).then_some(Duration::ZERO),
                    },
                    Ill::Disconnect(moment) => ServiceFault::Disconnect(moment),
                    Ill::Truncate => ServiceFault::Truncate { after: 1 },
                    Ill::Delay => ServiceFault::Delay(Duration::from_millis(300)),
                };
                stage.sigstore.spare(service, self.spared);
                stage.sigstore.inject(service, fault, times);
            }
        }
    }

    /// Plays the run with the failure, and the next one without.
    async fn play(self) -> Result<(), String> {
        let scene = self.setting.stage().await;
        let Scene { stage, old, .. } = &scene;
        self.arm(stage);
        let first = scene.run().await?;
        stage.registry.clear_faults();
        stage.sigstore.clear_faults();
        scene.tags_come_last()?;
        let index = scene.index().await;
        scene.tags_are_told(&first, &index)?;
        for tag in TAGS {
            let named = stage.registry.tagged(PATH, tag);
            if named
                .as_ref()
                .is_some_and(|named| named != old && *named != index)
            {
                return Err(format!("{tag} names {named:?}"));
            }
            if named.is_some() {
                scene.verify(tag).await?;
            } else if tag == TAGS[0] {
                return Err(format!("{tag} is gone"));
            }
        }

        let listed = scene.listed().await;
        let missing = MANIFESTS * TAGS.len() - listed;
        let logged = scene.logged();
        stage.registry.reset_requests();
        let second = scene.run().await?;
        second.map_err(|failed| format!("the next run failed: {failed:?}"))?;
        scene.tags_come_last()?;
        let logged = scene.logged() - logged;
        if logged != missing {
            return Err(format!(
                "{missing} signatures were missing, {logged} were made"
            ));
        }
        let listed = scene.listed().await;
        if listed != MANIFESTS * TAGS.len() {
            return Err(format!("{listed} signatures are listed in the end"));
        }
        for tag in TAGS {
            if stage.registry.tagged(PATH, tag).as_ref() != Some(&index) {
                return Err(format!("{tag} does not name the merged image in the end"));
            }
            scene.verify(tag).await?;
        }
        Ok(())
    }
}

/// Every failure at every request of a whole run.
async fn walk() -> Vec<Scenario> {
    let mut walk = Vec::new();
    for setting in SETTINGS {
        let scene = setting.stage().await;
        scene.run().await.unwrap().unwrap();
        let asked = scene.stage.sigstore.requests();
        for service in asked.iter().map(|request| request.service) {
            let is_listed = setting.services().contains(&service);
            assert!(is_listed, "{service:?} is asked, and never fails");
        }
        let mut places = vec![(Place::Registry, scene.stage.registry.requests().len())];
        places.extend(setting.services().iter().map(|service| {
            let requests = scene.stage.answers(*service).len();
            (Place::Service(*service), requests)
        }));
        for (place, requests) in places {
            assert_ne!(requests, 0, "{place:?} is never asked");
            for spared in 0..requests {
                for ill in ILLS {
                    for span in ill.spans() {
                        walk.push(Scenario {
                            setting,
                            place,
                            spared,
                            ill,
                            span: *span,
                        });
                    }
                }
            }
        }
    }
    let count = walk.len();
    assert_ne!(count % STEP, 0, "the steps lead to every scenario");
    (0..count)
        .filter_map(|at| walk.get(at * STEP % count).copied())
        .collect()
}

/// Plays scenarios and says what is wrong with which.
#[expect(clippy::print_stderr, reason = "tells how far it is")]
async fn play(scenarios: Vec<Scenario>) {
    let count = scenarios.len();
    let played = scenarios.into_iter().map(|scenario| async move {
        // A task of its own, so that a panic is told with its scenario.
        let played = tokio::spawn(scenario.play()).await;
        let wrong = match played {
            Ok(played) => played.err()?,
            Err(error) => error.to_string(),
        };
        let wrong = format!("{scenario:?}: {wrong}");
        eprintln!("{wrong}");
        Some(wrong)
    });
    let wrong = stream::iter(played)
        .buffer_unordered(AT_ONCE)
        .enumerate()
        .map(|(at, wrong)| {
            if (at + 1) % 100 == 0 {
                eprintln!("{} of {count} runs", at + 1);
            }
            wrong
        })
        .filter_map(std::future::ready);
    let wrong: Vec<String> = wrong.collect().await;
    assert!(
        wrong.is_empty(),
        "{} of {count} runs went wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_no_tag_names_anything_unsigned_and_the_next_run_ends_well() {
    play(walk().await.into_iter().take(SAMPLE).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; `cargo xtask faults` plays it"]
async fn the_whole_walk() {
    play(walk().await).await;
}
