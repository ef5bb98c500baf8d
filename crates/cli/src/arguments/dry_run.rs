//! Options that have no effect where nothing is installed: for `install --dry-run`, `upgrade --dry-run` and `outdated`.

use std::path::Path;

use super::layers::LayerArguments;
use super::planning::PlanningArguments;
use super::replacing::{HowDurable, ReplacingArguments};
use crate::failure::{Failure, Kind};

/// What was given of the options that are without effect. The compiler names a field that the table
/// doesn't read.
struct Given<'a> {
    lock: Option<&'a Path>,
    check: bool,
    no_wait: bool,
    durability: Option<HowDurable>,
    jobs: Option<u8>,
    layer_cache: Option<&'a Path>,
    layer_cache_size: Option<u64>,
}

/// An option that does something only while something is installed.
struct Installing {
    /// Its name, without the dashes before it.
    long: &'static str,
    /// What to do instead.
    hint: &'static str,
    is_given: fn(&Given<'_>) -> bool,
}

const LEAVE_IT_OUT: &str = "leave it out";

const INSTALLING: [Installing; 7] = [
    Installing {
        long: "lock",
        hint: "leave it out: `install` and `upgrade` pin what they install",
        is_given: |given| given.lock.is_some(),
    },
    Installing {
        long: "check",
        hint: "`countersign check` compares the files of what is installed",
        is_given: |given| given.check,
    },
    Installing {
        long: "no-wait",
        hint: LEAVE_IT_OUT,
        is_given: |given| given.no_wait,
    },
    Installing {
        long: "durability",
        hint: LEAVE_IT_OUT,
        is_given: |given| given.durability.is_some(),
    },
    Installing {
        long: "jobs",
        hint: LEAVE_IT_OUT,
        is_given: |given| given.jobs.is_some(),
    },
    Installing {
        long: "layer-cache",
        hint: LEAVE_IT_OUT,
        is_given: |given| given.layer_cache.is_some(),
    },
    Installing {
        long: "layer-cache-size",
        hint: LEAVE_IT_OUT,
        is_given: |given| given.layer_cache_size.is_some(),
    },
];

/// Whether the option with this name does nothing where nothing is installed.
pub(crate) fn has_no_effect(long: &str) -> bool {
    INSTALLING.iter().any(|option| option.long == long)
}

/// Refuses what has no effect, because `command` installs nothing: whoever gives it counts on it.
///
/// # Errors
/// The first such option that is given.
pub(crate) fn require_effect(
    command: &str,
    replacing: &ReplacingArguments,
    planning: &PlanningArguments,
    layers: &LayerArguments,
) -> Result<(), Failure> {
    // Whole, so that a new flag has to be thought of: as one of the table, whose field is bound here, or as one that has an
    // effect.
    let ReplacingArguments {
        allow_older: _,
        reinstall: _,
        check,
        no_wait,
        durability,
    } = replacing;
    let PlanningArguments {
        choosing: _,
        store: _,
        lock,
        jobs,
    } = planning;
    let LayerArguments {
        layer_cache,
        layer_cache_size,
    } = layers;
    let given = Given {
        lock: lock.as_deref(),
        check: *check,
        no_wait: *no_wait,
        durability: *durability,
        jobs: *jobs,
        layer_cache: layer_cache.as_deref(),
        layer_cache_size: *layer_cache_size,
    };
    match INSTALLING.iter().find(|option| (option.is_given)(&given)) {
        None => Ok(()),
        Some(Installing { long, hint, .. }) => {
            let message = format!("--{long} has no effect: `{command}` installs nothing");
            Err(Failure::new(Kind::Usage, message).hint(*hint))
        }
    }
}
