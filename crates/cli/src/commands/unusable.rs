//! What is said of an installation in the store whose record can't be read. All commands say the same of it.

use std::path::Path;

use countersign_download::{Error, Installation, Name, RecordState, Store, StoreError};

use crate::failure::{Failure, Kind};
use crate::printable;

/// Why nothing can be done by its record, and what to do; `None` if it can be read. `store` is what `--store` names.
pub(super) fn unusable(installation: &Installation, store: Option<&Path>) -> Option<Failure> {
    let what = match installation.record {
        RecordState::Read(_) => return None,
        RecordState::Later => "was written by a later Countersign",
        RecordState::Unreadable
        | RecordState::Illegible
        | RecordState::Missing
        | RecordState::Unfinished => "can't be read",
    };
    let (name, place) = (&installation.name, printable::path(&installation.directory));
    let message = format!("the record of `{name}` in {place} {what}");
    let failure = Failure::new(Kind::Usage, message);
    Some(failure.hinted(way_out(installation, store)))
}

/// What to do about it; `None` if its record can be read.
pub(super) fn way_out(installation: &Installation, store: Option<&Path>) -> Option<String> {
    let updated = match installation.record {
        RecordState::Read(_) => return None,
        RecordState::Later => "update Countersign; or ",
        RecordState::Unreadable
        | RecordState::Illegible
        | RecordState::Missing
        | RecordState::Unfinished => "",
    };
    let removal = removal(installation, store);
    Some(format!("{updated}run `{removal}`, then install it again"))
}

/// The command that removes it.
fn removal(installation: &Installation, store: Option<&Path>) -> String {
    let by = match installation.record {
        RecordState::Illegible | RecordState::Missing => " --unrecorded",
        RecordState::Read(_)
        | RecordState::Unreadable
        | RecordState::Later
        | RecordState::Unfinished => "",
    };
    let store = store.map(|store| format!(" --store {}", printable::word(store)));
    let store = store.unwrap_or_default();
    format!("countersign remove{by}{store} {}", installation.name)
}

/// What is said of an entry that could not be installed: if that is because of what is in its place, what helps there.
pub(super) async fn not_installed(
    error: StoreError,
    name: &str,
    store: &Store,
    named: Option<&Path>,
) -> Failure {
    let (true, Ok(name)) = (is_of_place(&error), name.parse::<Name>()) else {
        return error.into();
    };
    match store.installation(&name).await {
        Ok(installation) => unusable(&installation, named).unwrap_or_else(|| error.into()),
        Err(unrecorded @ StoreError::NoRecord { .. }) => unrecorded.into(),
        Err(_) => error.into(),
    }
}

/// Whether something that we don't replace is in its place.
fn is_of_place(error: &StoreError) -> bool {
    let StoreError::Plan(failure) = error else {
        return false;
    };
    matches!(
        failure.before(),
        Some(Error::Target { .. } | Error::UnreadableRecord { .. } | Error::LaterRecord { .. })
    )
}
