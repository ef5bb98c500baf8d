//! Scopes: what a token allows (distribution project, "Token Scope Documentation").

use crate::reference::Repository;

/// The kind of access to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Access {
    Pull,
    /// Reading and writing.
    Push,
}

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) repository: Repository,
    pub(super) access: Access,
}

impl Scope {
    pub(super) fn new(repository: &Repository, access: Access) -> Self {
        Self {
            repository: repository.clone(),
            access,
        }
    }

    /// The scopes to request from a token service: our own, and those of the challenge that ours
    /// doesn't include. A registry may ask for more than its specification says.
    pub(super) fn wanted(&self, challenged: Option<&str>) -> Vec<String> {
        let actions: &[&str] = match self.access {
            Access::Pull => &["pull"],
            Access::Push => &["pull", "push"],
        };
        let own = format!(
            "repository:{}:{}",
            self.repository.path(),
            actions.join(",")
        );
        let resource = format!("repository:{}:", self.repository.path());
        let covered = |scope: &str| {
            scope
                .strip_prefix(&resource)
                .is_some_and(|list| list.split(',').all(|action| actions.contains(&action)))
        };
        let more = challenged.unwrap_or_default().split_ascii_whitespace();
        let more = more.filter(|scope| !covered(scope)).map(str::to_owned);
        std::iter::once(own).chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_cover_ours_and_what_the_registry_adds() {
        let repository: Repository = "a.io/x/y".parse().unwrap();
        let pull = Scope::new(&repository, Access::Pull);
        assert_eq!(pull.wanted(None), ["repository:x/y:pull"]);
        assert_eq!(
            pull.wanted(Some("repository:x/y:pull")),
            ["repository:x/y:pull"]
        );
        let push = Scope::new(&repository, Access::Push);
        assert_eq!(
            push.wanted(Some("repository:x/y:push,pull registry:catalog:*")),
            ["repository:x/y:pull,push", "registry:catalog:*"]
        );
    }
}
