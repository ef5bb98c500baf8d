//! Where an identity token comes from: the command line, a file, the environment, the CI or a login.
//!
//! No text that may be a token is ever shown.

use std::path::Path;
use std::sync::Arc;

use countersign_oci::Patience;
use countersign_oci::http::Connection;
use countersign_sign::{IdentityToken, TokenError};

use super::SigningArguments;
use crate::ci::Provider;
use crate::environment::{Environment, Variable};
use crate::failure::{Failure, Kind};
use crate::input::read_text;
use crate::login::{Browser, LoginHow, Person};
use crate::terminal::has_person;

/// How `{"` is written in base64: each JWT begins with it (RFC 7519).
const BEGIN_OF_JWT: &str = "eyJ";
/// No signed token is shorter, in bytes.
const SHORTEST_TOKEN: usize = 100;

/// Where an identity token comes from, and so whether there is another when it ends.
pub(super) enum Origin {
    Given,
    Ci(Provider),
    Person(Arc<Person>),
}

/// Who proves who signs.
pub(super) enum Source {
    /// Whoever gave the token.
    Token(Box<IdentityToken>, Origin),
    /// A person, who has to log in yet.
    Person(Browser),
}

/// The token of the flag, of `SIGSTORE_ID_TOKEN`, or of the CI that this runs in; else a person, by
/// the flag or at a terminal.
pub(super) async fn source(
    arguments: &SigningArguments,
    environment: &Environment,
    connection: &Connection,
    patience: Option<&Patience>,
) -> Result<Source, Failure> {
    let given = |token| Ok(Source::Token(Box::new(token), Origin::Given));
    if let Some(flag) = arguments.identity_token.as_deref() {
        return given(match flag.strip_prefix('@') {
            Some(file) => of_file(file)?,
            None => of_flag(flag)?,
        });
    }
    // What is typed comes before what the environment has.
    match arguments.login {
        Some(LoginHow::Browser) => return Ok(Source::Person(Browser::Required)),
        Some(LoginHow::Device) => return Ok(Source::Person(Browser::Elsewhere)),
        Some(LoginHow::Never) | None => {}
    }
    if let Some(token) = environment.variable(Variable::IdentityToken) {
        return given(read(token, "SIGSTORE_ID_TOKEN")?);
    }
    match Provider::detect(environment) {
        Some(ci) => {
            let token = ci.token(environment, connection, patience).await?;
            Ok(Source::Token(Box::new(token), Origin::Ci(ci)))
        }
        None if arguments.login.is_none() && has_person() && !environment.is_ci() => {
            Ok(Source::Person(if environment.has_desktop() {
                Browser::IfThereIsOne
            } else {
                Browser::Elsewhere
            }))
        }
        None => Err(Failure::new(
            Kind::Rejected,
            "there is no identity token, and this is not a CI that has one",
        )
        .hint("pass --identity-token TOKEN or @FILE, or set SIGSTORE_ID_TOKEN")
        .hint(
            "to log in yourself, pass --login browser, or --login device on a machine without one",
        )),
    }
}

/// The token in the file that stands behind the `@`.
fn of_file(file: &str) -> Result<IdentityToken, Failure> {
    if file.is_empty() {
        let message = "expected the name of a file after the @ of --identity-token, found nothing";
        return Err(Failure::new(Kind::Usage, message).hint("pass --identity-token @FILE"));
    }
    if is_token(file) {
        let message = "expected the name of a file after the @ of --identity-token, found what may be a token";
        let hint = "leave the @ out, to pass the token itself";
        return Err(Failure::new(Kind::Usage, message).hint(hint));
    }
    let text = read_text(file.as_ref(), "file of the identity token")?;
    read(&text, &format!("the file {file}"))
}

/// Whether a text that should be the name of a file may be a token, or have one in it. An error about the file would show
/// it.
fn is_token(file: &str) -> bool {
    // No file that is there is kept from being read, unless its name is a whole token.
    let may_be_cut = || {
        let is_long = file.len() > SHORTEST_TOKEN && file.contains(BEGIN_OF_JWT);
        is_long && !Path::new(file).exists()
    };
    !matches!(IdentityToken::from_jwt(file), Err(TokenError::NotJwt)) || may_be_cut()
}

/// The token on the command line itself.
fn of_flag(text: &str) -> Result<IdentityToken, Failure> {
    let token = read(text, "--identity-token");
    // A token is no name of a file: it is longer than one may be.
    if token.is_err() && Path::new(text).is_file() {
        let message =
            format!("--identity-token takes the token itself, found the name of a file: {text}");
        Err(Failure::new(Kind::Usage, message).hint(format!(
            "to read the token from the file, pass --identity-token @{text}"
        )))
    } else {
        token
    }
}

/// The token in a text. `place` says where it stands.
fn read(text: &str, place: &str) -> Result<IdentityToken, Failure> {
    IdentityToken::from_jwt(text).map_err(|error| {
        let found = match (&error, text.trim()) {
            (TokenError::NotJwt, "") => "nothing",
            (TokenError::NotJwt, text) if text.starts_with('{') => "JSON",
            (TokenError::NotJwt, text) if text.starts_with("Bearer ") => "`Bearer` before it",
            (TokenError::NotJwt, text) if text.starts_with(['"', '\'']) => "a text in quotes",
            (TokenError::NotJwt, text) if text.starts_with(['/', '@', '.']) => {
                "what may be the name of a file"
            }
            _ => return Failure::from(error).also(format!("the token is from {place}")),
        };
        let (kind, hint) = match found {
            // A login that is missing, as where no place has one.
            "nothing" => (
                Kind::Rejected,
                "is the variable set, and did the step before write the token?",
            ),
            "JSON" => (
                Kind::Usage,
                "pass the text of its `value` or `id_token` alone, without quotes",
            ),
            "a text in quotes" => (Kind::Usage, "leave the quotes out"),
            "what may be the name of a file" => (
                Kind::Usage,
                "to read the token from a file, pass --identity-token @FILE",
            ),
            _ => (Kind::Usage, "leave `Bearer` out"),
        };
        Failure::new(
            kind,
            format!("expected an identity token in {place}, found {found}"),
        )
        .hint(hint)
    })
}
