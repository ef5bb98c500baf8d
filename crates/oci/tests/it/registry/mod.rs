//! The registry client against servers that do what registries should not, and against one that
//! does what they should.

mod append_layer;
mod auth;
mod common;
mod copy;
mod download;
mod fallback_tag;
#[cfg(unix)]
mod helpers;
mod layout;
mod manners;
mod other_hosts;
mod pace;
mod proxies;
mod pull;
mod push;
mod push_referrers;
mod redirects;
mod referrers;
mod round_trip;
mod script;
mod select;
mod strangers;
mod tls;
mod traffic;
