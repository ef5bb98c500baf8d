//! A gallery, as `countersign gallery show` prints it.

use countersign_download::{FetchedIndex, Name, Plan};
use countersign_policy::{Gallery, Policy};
use schemars::JsonSchema;
use serde::Serialize;

/// A gallery whose index was read.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Gallery")]
pub(super) struct JsonGallery {
    name: String,
    /// Where its index was read.
    location: String,
    /// How many entries the index has.
    entries: usize,
    /// Its policy, in words. Left out if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// Why the index was not read at the locations before this one, a text each.
    skipped: Vec<String>,
}

impl JsonGallery {
    pub(super) fn new((gallery, fetched): &(Gallery, FetchedIndex)) -> Self {
        Self {
            name: gallery.name.clone(),
            location: fetched.location.to_string(),
            entries: fetched.index.entries().len(),
            policy: gallery.policy.as_ref().map(Policy::explain),
            skipped: fetched.skipped.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What is wrong with the name by which it would be installed.
pub(super) fn wrong_name(plan: &Plan) -> Option<String> {
    let error = plan.name().parse::<Name>().err()?;
    Some(format!("it can't be installed by this name: {error}"))
}

/// All that a person should know before it is installed.
pub(super) fn warnings(plan: &Plan) -> Option<String> {
    let of_plan = plan.warning().map(ToOwned::to_owned);
    let warnings: Vec<String> = of_plan.into_iter().chain(wrong_name(plan)).collect();
    (!warnings.is_empty()).then(|| warnings.join("; "))
}
