//! Everything that is wrong with a file, not only the first thing.
//!
//! A reader stops at the first mistake. So the file is read again without what was wrong, and with a text for what was
//! missing, until nothing is. What is missing only because it was left out is no mistake of its own.

use crate::error::{About, KeyPath, PolicyError, Problem, Step};
use crate::node::{Changes, Node};
use crate::yaml::{self, Bounds};

/// The most mistakes that are told of one file: if there are so many, there may be more. Each takes one reading of
/// the file.
pub const MISTAKES_MAX: usize = 50;
/// The most readings. Some only find what a mistake leaves behind.
const READINGS_MAX: usize = 2 * MISTAKES_MAX;

/// All mistakes that `read` finds in `text`, in the order of the file. Empty if there is none.
pub(crate) fn mistakes(
    text: &str,
    file_name: &str,
    read: impl Fn(&str) -> Result<(), PolicyError>,
) -> Vec<PolicyError> {
    let Err(first) = read(text) else {
        return Vec::new();
    };
    let Ok(tree) = yaml::parse::<Node>(text, file_name, &Bounds::POLICY) else {
        return vec![first];
    };
    let mut changes = Changed::default();
    let mut found: Vec<PolicyError> = Vec::new();
    let mut error = first;
    for _ in 0..READINGS_MAX {
        let (mut place, problem) = error.into_parts();
        // Only the first reading is of the file itself. The places of the others are looked up in it.
        let path = changes.original(&place.path, &tree);
        let wrong = wrong_key(&path, &problem).unwrap_or_else(|| path.clone());
        let goes_on = changes.mend(&path, &problem, &wrong);
        if !changes.explain(&path, &problem) {
            if !found.is_empty() {
                place.position = Some(tree.position_of(&wrong));
            }
            place.path = path;
            let mistake = PolicyError::new(place, problem);
            if !found.contains(&mistake) {
                found.push(mistake);
            }
        }
        if !goes_on || found.len() == MISTAKES_MAX {
            break;
        }
        match read(&tree.to_json(&changes)) {
            Ok(()) => break,
            // The text that was read is not the file: it is larger, and has no aliases.
            Err(next) if next.problem().is_of_the_text() => break,
            Err(next) => error = next,
        }
    }
    found.sort_by_key(|mistake| mistake.place().position.map(|at| (at.line, at.column)));
    found
}

/// The key that is wrong, where `path` is the mapping around it.
fn wrong_key(path: &KeyPath, problem: &Problem) -> Option<KeyPath> {
    match problem.about() {
        About::Key(key) => Some(path.key(key)),
        // The mapping has both, or a rule of claims is itself the second of the two.
        About::Second(key) => (path.last_key() != Some(key)).then(|| path.key(key)),
        About::Text | About::Lack | About::LackBeside | About::Value => None,
    }
}

/// How the next reading differs from the file. Paths are those of the file.
#[derive(Debug, Default)]
struct Changed {
    left_out: Vec<KeyPath>,
    /// Keys that stand there under another name, which was left out.
    misspelt: Vec<KeyPath>,
    /// Mappings, and the key that each gets.
    added: Vec<(KeyPath, &'static str)>,
}

impl Changes for Changed {
    fn leaves_out(&self, path: &KeyPath) -> bool {
        self.left_out.contains(path)
    }

    fn adds(&self, path: &KeyPath) -> Vec<(&'static str, String)> {
        let added = self.added.iter().enumerate();
        let here = added.filter(|(_, (mapping, _))| mapping == path);
        // Names may have to differ.
        here.map(|(number, (_, key))| (*key, format!("missing-{number}")))
            .collect()
    }
}

impl Changed {
    /// Changes the document so that it doesn't have this problem. `false` if that is not possible.
    fn mend(&mut self, path: &KeyPath, problem: &Problem, wrong: &KeyPath) -> bool {
        if let Problem::Neither { exact: key, .. } | Problem::MissingKey { key } = problem {
            let addition = (path.clone(), *key);
            if !self.added.contains(&addition) {
                self.added.push(addition);
                return true;
            }
        }
        let wrong = match problem {
            // A text that was added is no good there: the mapping around it is given up.
            _ if self.has_added(wrong) => wrong.parent(),
            // Of two keys the second one stays: a pattern may be wrong itself.
            Problem::Both { exact, .. } => wrong.parent().key(exact),
            _ => wrong.clone(),
        };
        if wrong.is_root() || self.leaves_out(&wrong) {
            return false;
        }
        if let Problem::UnknownKey {
            nearest: Some(meant),
            ..
        } = problem
        {
            self.misspelt.push(path.key(meant));
        }
        self.left_out.push(wrong);
        true
    }

    fn has_added(&self, path: &KeyPath) -> bool {
        let last = path.last_key();
        let mut added = self.added.iter();
        added.any(|(mapping, key)| Some(*key) == last && *mapping == path.parent())
    }

    /// Where in the file stands what is at `path` in the changed document: entries of lists have moved up.
    fn original(&self, path: &KeyPath, tree: &Node) -> KeyPath {
        let mut original = KeyPath::default();
        for step in path.steps() {
            original = match step {
                Step::Key(key) => original.key(key),
                Step::Index(index) => {
                    let items = tree.follow(&original).and_then(Node::items);
                    let all = 0..items.map_or(0, <[Node]>::len);
                    let mut there = all.filter(|&index| !self.leaves_out(&original.index(index)));
                    original.index(there.nth(*index).unwrap_or(*index))
                }
            };
        }
        original
    }

    /// Whether the problem is only there because something beside it or in it was left out or added.
    fn explain(&self, path: &KeyPath, problem: &Problem) -> bool {
        if self.has_added(path) {
            return true;
        }
        // The key is there, in this mapping or in the one around it, and it, or a part of it, was left out for
        // another mistake.
        if let Problem::MissingKey { key } = problem {
            let places = [path.key(*key), path.parent().key(*key)];
            let is_one = |left_out: &KeyPath| {
                let mut places = places.iter();
                places.any(|place| left_out.steps().starts_with(place.steps()))
            };
            return self.left_out.iter().chain(&self.misspelt).any(is_one);
        }
        let around = match problem.about() {
            About::Lack => path.clone(),
            About::LackBeside => path.parent(),
            About::Text | About::Key(_) | About::Second(_) | About::Value => return false,
        };
        let inside = |left_out: &KeyPath| {
            left_out.steps().len() > around.steps().len()
                && left_out.steps().starts_with(around.steps())
        };
        self.left_out.iter().any(inside)
    }
}

#[cfg(test)]
mod tests {
    use crate::{ImageVerifierConfig, PolicyFile};

    /// The mistakes of a policy file, one a line.
    fn told(text: &str) -> String {
        let mistakes = PolicyFile::mistakes(text, "p.yaml", &crate::policy::no_key_files);
        let first = PolicyFile::parse(text, "p.yaml").err();
        assert_eq!(first.is_none(), mistakes.is_empty());
        assert!(first.is_none_or(|first| mistakes.contains(&first)));
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    #[test]
    fn all_mistakes_of_a_policy_are_told_in_the_order_of_the_file() {
        insta::assert_snapshot!(told(
            r#"verification:
  isuer: https://gitlab.com
  identity_regex: "("
  not_before: yesterday
  min_age: 3 moons
  claims: {source_repositry: a}
  predicate_types: [""]
  deny_digests: [sha256:1, sha256:2]
  colour: blue
"#
        ));
    }

    #[test]
    fn several_issuers_are_answered_with_identities_and_everything_else_is_told_too() {
        insta::assert_snapshot!(told(
            "issuer: [https://a.example, https://b.example]\nidentity: me\nbind_name: perhaps\n"
        ));
    }

    #[test]
    fn mistakes_in_galleries_keep_their_places_when_others_are_left_out() {
        insta::assert_snapshot!(told(
            r"galleries:
- name: one
- name: two
  url: file:two.yaml
  verification: {issuer: 'https://a.example', identity: a, identity_regex: b, colour: red}
- name: three
  url: 7
  verfication: {}
- {name: two, url: 'file:four.yaml', verification: {identities: [{issuer: x}, {identity: y}, {key: z}]}}
"
        ));
    }

    /// No issuer, identity or time is a number: whoever writes one has made a mistake.
    #[test]
    fn a_number_in_the_place_of_a_text_is_told_with_its_place() {
        insta::assert_snapshot!(told("issuer: 5\nidentity: true\nnot_before: 2026\n"), @r"
        p.yaml:1:1: issuer: expected a text in quotes, found `5`
        p.yaml:2:1: identity: expected a text in quotes, found `true`
        p.yaml:3:1: not_before: expected an RFC 3339 time such as 2026-08-05T00:00:00Z, found `2026`
        ");
        let several = "identities:\n- {issuer: a, identity: 1.5}\nclaims: {source_repository_identifier: 5}\n";
        insta::assert_snapshot!(told(several), @"p.yaml:2:15: identities[0].identity: expected a text in quotes, found `1.5`");
    }

    #[test]
    fn a_broken_pattern_is_told_beside_both_keys_and_a_time_beside_a_key_that_can_t_be_read() {
        let both = told("issuer: a\nidentity: b\nidentity_regex: \"(\"\n");
        assert!(both.contains("`identity_regex`, found both"), "{both}");
        assert!(both.contains("not a usable regular expression"), "{both}");
        let key = told("key: gone.pub\nignore_tlog: true\nmin_age: 24h\n");
        assert!(key.contains("`min_age` is not allowed"), "{key}");
        assert!(key.contains("gone.pub"), "{key}");
        assert_eq!(key.lines().count(), 2, "{key}");
        let service = told("key: awskms://alias/a\n");
        let says = "`cosign public-key --key awskms://alias/a` prints";
        assert!(service.contains(says), "{service}");
    }

    #[test]
    fn what_is_right_has_none_and_what_is_no_yaml_has_one() {
        assert_eq!(told("{issuer: 'https://a.example', identity: a}"), "");
        assert_eq!(told("a: [").lines().count(), 1);
        assert_eq!(told("").lines().count(), 1);
        assert_eq!(told("a: 1\na: 2\nb: 3").lines().count(), 1);
    }

    #[test]
    fn a_missing_key_is_told_beside_other_mistakes_and_one_that_is_only_wrong_is_not() {
        let beside = "- name: a\n  verification: {issuer: a, identity: b, bind_name: perhaps}\n";
        let beside = told(beside);
        assert!(
            beside.contains("the key `url` is missing") && beside.contains("found `perhaps`"),
            "{beside}"
        );
        assert_eq!(beside.lines().count(), 2, "{beside}");
        for (text, said) in [
            ("- {name: a, url: [b]}\n", "[0].url: expected"),
            ("- {name: a, urll: 'file:b'}\n", "did you mean `url`?"),
            (
                "issuer: a\nidentity: b\npredicate: {/a: b}\npredicate_types: ['']\n",
                "predicate_types[0]: expected a predicate type",
            ),
        ] {
            let told = told(text);
            assert!(told.contains(said), "{told}");
            assert_eq!(told.lines().count(), 1, "{told}");
        }
    }

    #[test]
    fn no_more_than_fifty_are_told() {
        let keys: String = (0..200).map(|number| format!("k{number}: 1\n")).collect();
        assert_eq!(told(&keys).lines().count(), super::MISTAKES_MAX);
    }

    #[test]
    fn a_file_is_not_blamed_for_what_its_aliases_make_of_it() {
        let long = "x".repeat(90_000);
        let mut text =
            format!("colour: red\nidentities:\n- {{issuer: &i '{long}', identity: a}}\n");
        for number in 0..12 {
            text.push_str(&format!("- {{issuer: *i, identity: a{number}}}\n"));
        }
        let told = told(&text);
        assert!(told.contains("unknown key `colour`"), "{told:.300}");
        assert_eq!(told.lines().count(), 1, "{told:.900}");
    }

    #[test]
    fn numbers_that_json_has_no_form_for_are_refused_by_the_first_reading() {
        for number in [".inf", "-.inf", ".nan"] {
            let told = told(&format!(
                "colour: {number}\nissuer: [a]\nmin_age: {number}\n"
            ));
            assert_eq!(told.lines().count(), 1, "{told}");
        }
    }

    #[test]
    fn all_mistakes_of_an_image_verifier_are_told() {
        let text =
            "mode: never\nrules:\n- images: ['ghcr.io/a/**']\n  alow: true\n- images: ['']\n";
        let mistakes = ImageVerifierConfig::mistakes(text, "i.yaml", &crate::policy::no_key_files);
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
