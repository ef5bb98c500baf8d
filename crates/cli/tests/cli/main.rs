//! The real program, as people and scripts run it, against the sandbox's Sigstore and registry.

#[cfg(test)]
mod exit_codes;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod help;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod layout;
#[cfg(test)]
mod login;
#[cfg(test)]
mod newcomer;
#[cfg(test)]
mod output;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod printed;
#[cfg(test)]
mod registries;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod tags;
#[cfg(test)]
mod timeout;
#[cfg(test)]
mod usage;
