//! Files that people write beside policies, such as the cases of a test. What is wrong with them is told as of a policy
//! file: each mistake with its line, and all at once.

use serde::de::DeserializeOwned;

use crate::error::{KeyPath, PolicyError, Problem};
use crate::mistakes::mistakes;
use crate::policy::no_key_files;
use crate::source::Source;

/// Reads a file's text, YAML or JSON, with the bounds of a policy file. `file_name` is only for errors. `check` makes of it
/// what it says, or tells what is wrong that the type `T` doesn't know, with the keys that lead there.
///
/// # Errors
/// The first thing that is wrong with it, and everything, in the order of the file: at most
/// [`MISTAKES_MAX`](crate::MISTAKES_MAX) mistakes.
pub fn parse_document<T: DeserializeOwned, Checked>(
    text: &str,
    file_name: &str,
    check: impl Fn(T) -> Result<Checked, (KeyPath, Problem)>,
) -> Result<Checked, (PolicyError, Vec<PolicyError>)> {
    let read = |text: &str| {
        let source = Source::new(text, file_name, &no_key_files)?;
        let typed: T = source.typed(&[])?;
        check(typed).map_err(|(path, problem)| source.error(path, problem))
    };
    read(text).map_err(|first| {
        let all = mistakes(text, file_name, |text| read(text).map(drop));
        (first, all)
    })
}
