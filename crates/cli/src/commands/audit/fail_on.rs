//! `--fail-on`: which verdicts make the run fail.
//!
//! What this machine could not do always fails the run.

use std::str::FromStr;

use countersign_download::State;
use countersign_policy::nearest;

use super::tally::Tally;
use crate::failure::{Failure, Kind, worst};

/// The states that a run fails on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailOn(Vec<State>);

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "any" => Ok(Self(failures().collect())),
            "none" => Ok(Self(Vec::new())),
            names => names
                .split(',')
                .map(named)
                .collect::<Result<_, _>>()
                .map(Self),
        }
    }
}

/// All that a run can be made to fail on.
fn failures() -> impl Iterator<Item = State> + Clone {
    let states = State::ALL.iter().copied();
    states.filter(|one| one.failure().is_some())
}

/// The state of this name.
fn named(name: &str) -> Result<State, String> {
    let name = name.trim();
    let mut all = failures();
    all.find(|state| state.as_str() == name).ok_or_else(|| {
        match nearest(name, failures().map(State::as_str)) {
            Some(near) => format!("`{name}` is no state: did you mean `{near}`?"),
            None => format!(
                "`{name}` is no state: expected any, none or some of {}",
                names()
            ),
        }
    })
}

/// The names of all that a run can be made to fail on.
fn names() -> String {
    failures().map(State::as_str).collect::<Vec<_>>().join(", ")
}

/// The help of the flag.
pub(super) fn help() -> String {
    format!(
        "What makes the run fail [default: any]\n\nany is every image that is not proven. none is nothing. \
         Otherwise states, separated by commas: {}. unreachable includes rejected.",
        names()
    )
}

impl FailOn {
    fn fails_on(&self, state: State) -> bool {
        let named = |state| self.0.contains(&state);
        match state {
            State::Failed => true,
            // A registry chooses whether it refuses or doesn't answer. Nobody knows more of the image by either.
            State::Rejected => named(state) || named(State::Unreachable),
            state => named(state),
        }
    }

    /// By what kind an image in this state makes the run fail, if it does.
    pub(super) fn kind_of(&self, state: State) -> Option<Kind> {
        state.failure().filter(|_| self.fails_on(state))
    }

    /// The failure of the run, if it has one.
    pub(super) fn failed(&self, tally: &Tally) -> Option<Failure> {
        let fails = |state: &State| self.fails_on(*state);
        let states = State::ALL.iter().copied();
        let found: Vec<State> = states
            .filter(|state| fails(state) && tally.of(*state) > 0)
            .collect();
        let kinds: Vec<Kind> = found.iter().filter_map(|state| state.failure()).collect();
        let kind = worst(&kinds)?;
        let count: u64 = found.iter().map(|state| tally.of(*state)).sum();
        let listed: Vec<String> = found
            .iter()
            .map(|state| format!("{} {}", tally.of(*state), state.as_str()))
            .collect();
        let are = if count == 1 {
            "is not as it should be"
        } else {
            "are not as they should be"
        };
        let message = format!(
            "{count} of {} {are}: {}",
            super::text::images(tally.total()),
            listed.join(", ")
        );
        Some(
            Failure::new(kind, message)
                .hint("--fail-on says which states make the run fail; --fail-on none only reports"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<&'static str>, String> {
        let states = text.parse::<FailOn>()?.0;
        Ok(states.into_iter().map(State::as_str).collect())
    }

    #[test]
    fn what_is_refused_is_no_more_known_than_what_is_unreachable() {
        let fails_on = |text: &str| text.parse::<FailOn>().unwrap();
        for text in ["unreachable", "rejected", "unsigned,unreachable", "any"] {
            assert!(fails_on(text).fails_on(State::Rejected), "{text}");
        }
        for text in ["none", "unsigned"] {
            assert!(!fails_on(text).fails_on(State::Rejected), "{text}");
        }
        assert!(!fails_on("rejected").fails_on(State::Unreachable));
        assert!(fails_on("none").fails_on(State::Failed));
    }

    #[test]
    fn states_are_named_and_a_misspelt_one_is_told() {
        assert_eq!(read("none"), Ok(Vec::new()));
        assert_eq!(read("unsigned,missing"), Ok(vec!["unsigned", "missing"]));
        assert_eq!(read("any").unwrap().len(), State::ALL.len() - 2);
        let misspelt = "`unsinged` is no state: did you mean `unsigned`?";
        assert_eq!(read("unsinged"), Err(misspelt.to_owned()));
        // Nobody fails on what is good.
        for wrong in ["proven", ""] {
            let error = read(wrong).unwrap_err();
            let says = format!("`{wrong}` is no state: ");
            assert!(error.starts_with(&says), "{error}");
        }
    }
}
