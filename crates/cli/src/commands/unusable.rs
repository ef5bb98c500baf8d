//! What is said of an installation in the store whose record can't be read. All commands say the same of it.

use std::path::Path;

use countersign_download::{Error, Installation, Name, RecordState, Role, Store, StoreError};

use crate::failure::{Failure, Kind};
use crate::printable;

/// Why nothing can be done by its record, and what to do; `None` if it can be read. `store` is what `--store` names.
pub(super) fn unusable(installation: &Installation, store: Option<&Path>) -> Option<Failure> {
    let what = what_is_wrong(installation)?;
    let (name, place) = (&installation.name, printable::path(&installation.directory));
    let message = format!("the record of `{name}` in {place} {what}");
    let failure = Failure::new(Kind::Usage, message);
    Some(failure.hinted(way_out(installation, store)))
}

/// What is wrong with its record, as the end of a sentence that begins with it; `None` if it can be read.
pub(super) fn what_is_wrong(installation: &Installation) -> Option<String> {
    match installation.record {
        RecordState::Read(_) => None,
        RecordState::Later => Some("was written by a later Countersign".to_owned()),
        RecordState::Unreadable
        | RecordState::Unrecognised
        | RecordState::Missing
        | RecordState::Unfinished => {
            let why = installation.fault.as_ref();
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            Some(format!("can't be read{why}"))
        }
    }
}

/// What to do about it; `None` if its record can be read.
pub(super) fn way_out(installation: &Installation, store: Option<&Path>) -> Option<String> {
    let updated = match installation.record {
        RecordState::Read(_) => return None,
        RecordState::Later => "update Countersign; or ",
        RecordState::Unreadable
        | RecordState::Unrecognised
        | RecordState::Missing
        | RecordState::Unfinished => "",
    };
    let removal = removal(installation, store);
    Some(format!("{updated}run `{removal}`, then install it again"))
}

/// The command that removes it.
fn removal(installation: &Installation, store: Option<&Path>) -> String {
    let by = match installation.record {
        RecordState::Unrecognised | RecordState::Missing => " --unrecorded",
        RecordState::Read(_)
        | RecordState::Unreadable
        | RecordState::Later
        | RecordState::Unfinished => "",
    };
    let store = printable::option("--store", store);
    format!("countersign remove{by}{store} {}", installation.name)
}

/// What is said of an entry that could not be installed: if that is because of what is in its place, what helps there.
pub(super) async fn not_installed(
    error: StoreError,
    name: &str,
    store: &Store,
    named: Option<&Path>,
) -> Failure {
    let Ok(name) = name.parse::<Name>() else {
        return error.into();
    };
    if error.kind() == Kind::NotFound && is_by_fallback(&name, store).await {
        return Failure::from(error).also(FALLBACK);
    }
    if !is_of_place(&error) {
        return error.into();
    }
    match store.installation(&name).await {
        Ok(installation)
            if matches!(
                installation.record,
                RecordState::Unreadable | RecordState::Unrecognised | RecordState::Later
            ) =>
        {
            unusable(&installation, named).unwrap_or_else(|| error.into())
        }
        Err(unrecorded @ StoreError::NoRecord { .. }) => Failure::of_store(unrecorded, named),
        Ok(_) | Err(_) => error.into(),
    }
}

/// What to do about a tag that was not there when it was installed either.
const FALLBACK: &str = "what is installed came by another tag: pass the same --fallback-tag again";

/// Whether what is installed by this name was served by a fallback tag.
async fn is_by_fallback(name: &Name, store: &Store) -> bool {
    let installation = store.installation(name).await.ok();
    let recorded = installation.as_ref().and_then(Installation::recorded);
    let from = recorded.and_then(|recorded| recorded.provenance.as_ref());
    from.is_some_and(|from| from.role == Role::Fallback)
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
