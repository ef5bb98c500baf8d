//! A person who logs in: told what to do on standard error, in a browser where one can be opened.

use std::sync::Weak;
use std::time::Duration;

use clap::ValueEnum;
use countersign_oci::http::Connection;
use countersign_sign::{DeviceCode, Error, IdentityToken, Login, LoginError, Shown};
use url::Url;

use crate::failure::{Failure, Kind};
use crate::progress::Progress;

/// How long the desktop has to say that it can't open a browser.
const OPENING: Duration = Duration::from_secs(2);

/// How a person logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoginHow {
    /// In a browser on this machine
    Browser,
    /// In a browser on any device, with a code
    Device,
    /// Not at all
    Never,
}

/// Where the browser is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Browser {
    /// On this machine. If it can't be opened, the person opens it.
    Required,
    /// On this machine. If it can't be opened, on any device.
    IfThereIsOne,
    /// On any device.
    Elsewhere,
}

/// A person at this terminal, and the issuer that knows the person.
pub(crate) struct Person {
    login: Login,
    browser: Browser,
    progress: Weak<Progress>,
}

impl Person {
    pub(crate) fn new(
        connection: &Connection,
        issuer: Option<&Url>,
        browser: Browser,
        progress: Weak<Progress>,
    ) -> Result<Self, Failure> {
        let issuer = issuer.ok_or_else(|| {
            Failure::new(
                Kind::Usage,
                "there is no OIDC issuer to log in at: no flag and no signing config names one",
            )
            .hint("pass --oidc-issuer URL, or an identity token by --identity-token @FILE")
        })?;
        Ok(Self {
            login: Login::new(connection, issuer)?,
            browser,
            progress,
        })
    }

    /// Waits until the person has logged in.
    pub(crate) async fn log_in(&self) -> Result<IdentityToken, Failure> {
        let token = match self.browser {
            Browser::Elsewhere => self.at_a_device().await,
            Browser::Required | Browser::IfThereIsOne => {
                match self.login.by_browser(|url| self.show(url)).await {
                    Err(Error::Login(LoginError::NoBrowser)) => self.at_a_device().await,
                    ended => ended,
                }
            }
        }?;
        if let Some(progress) = self.progress.upgrade() {
            progress.say("signing");
        }
        Ok(token)
    }

    async fn at_a_device(&self) -> Result<IdentityToken, Error> {
        let show = |code: DeviceCode| {
            let DeviceCode {
                url,
                user_code,
                complete_url,
            } = code;
            self.ask(&match complete_url {
                Some(complete) => format!(
                    "To log in, open this page in a browser on any device:\n  {complete}\n\
                     and check that it shows the code {user_code}"
                ),
                None => format!(
                    "To log in, open this page in a browser on any device:\n  {url}\n\
                     and enter the code {user_code}"
                ),
            });
        };
        self.login.by_device(show).await
    }

    /// Opens the page. Its URL is printed too: the browser may open in another window, or not at all.
    async fn show(&self, url: Url) -> Shown {
        let page = url.to_string();
        let opening = move || open::that_detached_with_timeout(page, OPENING);
        let opened = tokio::task::spawn_blocking(opening).await;
        let how = match (opened, self.browser) {
            (Ok(Ok(())), _) => "To log in, use the browser that has opened. If none has, open",
            (_, Browser::Required) => "To log in, open",
            (_, Browser::IfThereIsOne | Browser::Elsewhere) => return Shown::NoBrowser,
        };
        self.ask(&format!("{how} this page on this machine:\n  {url}"));
        Shown::ToPerson
    }

    fn ask(&self, lines: &str) {
        if let Some(progress) = self.progress.upgrade() {
            progress.ask(lines);
            progress.say("waiting for the login");
        }
    }
}
