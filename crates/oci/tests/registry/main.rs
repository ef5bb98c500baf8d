//! The registry client against servers that do what registries should not, and against one that
//! does what they should.

#[cfg(test)]
mod auth;
#[cfg(test)]
mod common;
#[cfg(test)]
mod download;
#[cfg(unix)]
#[cfg(test)]
mod helpers;
#[cfg(test)]
mod layout;
#[cfg(test)]
mod manners;
#[cfg(test)]
mod other_hosts;
#[cfg(test)]
mod pace;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod pull;
#[cfg(test)]
mod push;
#[cfg(test)]
mod redirects;
#[cfg(test)]
mod referrers;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod script;
#[cfg(test)]
mod select;
#[cfg(test)]
mod strangers;
#[cfg(test)]
mod tls;
