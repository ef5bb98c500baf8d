//! Options that have no effect where nothing is installed: for `install --dry-run`, `upgrade --dry-run` and `outdated`.

use super::layers::LayerArguments;
use super::planning::PlanningArguments;
use super::replacing::ReplacingArguments;
use crate::failure::{Failure, Kind};

/// An option that does something only while something is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Installing {
    Lock,
    Check,
    NoWait,
    Durability,
    Jobs,
    LayerCache,
    LayerCacheSize,
}

impl Installing {
    const ALL: [Self; 7] = [
        Self::Lock,
        Self::Check,
        Self::NoWait,
        Self::Durability,
        Self::Jobs,
        Self::LayerCache,
        Self::LayerCacheSize,
    ];

    /// Its name, without the dashes before it.
    fn long(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Check => "check",
            Self::NoWait => "no-wait",
            Self::Durability => "durability",
            Self::Jobs => "jobs",
            Self::LayerCache => "layer-cache",
            Self::LayerCacheSize => "layer-cache-size",
        }
    }

    /// What to do instead.
    fn hint(self) -> &'static str {
        match self {
            Self::Lock => "leave it out: `install` and `upgrade` pin what they install",
            Self::Check => "`countersign check` compares the files of what is installed",
            Self::NoWait
            | Self::Durability
            | Self::Jobs
            | Self::LayerCache
            | Self::LayerCacheSize => "leave it out",
        }
    }
}

/// Whether the option with this name does nothing where nothing is installed.
pub(crate) fn has_no_effect(long: &str) -> bool {
    Installing::ALL.iter().any(|option| option.long() == long)
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
    // Whole, so that a new flag has to be thought of here.
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
    let is_given = |option: &Installing| match option {
        Installing::Lock => lock.is_some(),
        Installing::Check => *check,
        Installing::NoWait => *no_wait,
        Installing::Durability => durability.is_some(),
        Installing::Jobs => jobs.is_some(),
        Installing::LayerCache => layer_cache.is_some(),
        Installing::LayerCacheSize => layer_cache_size.is_some(),
    };
    match Installing::ALL.into_iter().find(is_given) {
        None => Ok(()),
        Some(option) => {
            let long = option.long();
            let message = format!("--{long} has no effect: `{command}` installs nothing");
            Err(Failure::new(Kind::Usage, message).hint(option.hint()))
        }
    }
}
