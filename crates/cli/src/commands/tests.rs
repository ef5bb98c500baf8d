//! What holds for each command: its place in the pages, its flags.

use super::*;

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    Arguments::command().debug_assert();
}

#[test]
fn flags_that_exclude_each_other_say_so() {
    use clap::CommandFactory;
    let mut root = Arguments::command();
    root.build();
    let mut silent = Vec::new();
    let mut commands = vec![&root];
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands());
        for one in command.get_arguments() {
            let others = command.get_arg_conflicts_with(one).into_iter();
            let untold = others.filter(|other| !names(one, other) && !names(other, one));
            let pairs = untold.map(|other| {
                let (one, other) = (one.get_id(), other.get_id());
                format!("{}: {one} and {other}", command.get_name())
            });
            silent.extend(pairs);
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// The page on configuration names the commands that read no defaults, and no other.
#[test]
fn the_page_names_the_commands_without_defaults() {
    use clap::CommandFactory;
    let page = include_str!("../../../../docs/configuration.md");
    let (_, without) = page.split_once("](fleet.md) doesn't read these").unwrap();
    let mut commands = vec![(String::new(), Arguments::command())];
    while let Some((above, command)) = commands.pop() {
        for below in command.get_subcommands() {
            let name = format!("{above} {}", below.get_name());
            commands.push((name.trim_start().to_owned(), below.clone()));
        }
        let group = above.split(' ').next().unwrap();
        let is_named = group == "image-verifier"
            || [above.as_str(), group]
                .iter()
                .any(|name| without.contains(&format!("`{name}`")));
        let reads = command.get_arguments().any(|flag| {
            flag.get_id() == "config" && flag.get_help_heading() == Some("Global options")
        });
        if command.get_subcommands().next().is_none() || above == "audit" {
            assert_ne!(is_named, reads, "{above}");
        }
    }
}

/// A command with a flag beside `--config` takes the flag's default from a file. The page says so in the column "Who uses
/// it", or the command is one of these few, which ask for the flag itself.
#[test]
fn the_page_names_who_uses_each_default() {
    use clap::CommandFactory;
    let page = include_str!("../../../../docs/configuration.md");
    let mut commands = vec![(String::new(), Arguments::command())];
    let mut without_default = Vec::new();
    while let Some((above, command)) = commands.pop() {
        for below in command.get_subcommands() {
            let name = format!("{above} {}", below.get_name());
            commands.push((name.trim_start().to_owned(), below.clone()));
        }
        let has = |name| {
            let mut flags = command.get_arguments();
            flags.any(|flag| flag.get_long() == Some(name))
        };
        for key in ["gallery", "policy", "signing-config", "store"] {
            let begin = format!("| `{key}` |");
            let row = page.lines().find(|line| line.starts_with(&begin)).unwrap();
            let is_named = row.contains(&format!("`{above}"));
            if has("config") && has(key) && !above.is_empty() && !is_named {
                without_default.push(format!("{above} --{key}"));
            }
        }
    }
    without_default.sort();
    // `config show` tells what holds for all of them.
    without_default.retain(|flag| !flag.starts_with("config show"));
    let asking_for_the_flag = [
        "audit --gallery",
        "copy --gallery",
        "merge --policy",
        "sign --policy",
        "trust show --policy",
        "trust update --policy",
    ];
    assert_eq!(without_default, asking_for_the_flag);
}

/// The fields of a policy that have a flag.
#[test]
fn the_page_names_the_flags_that_are_fields_of_a_policy() {
    use clap::CommandFactory;
    let page = include_str!("../../../../docs/policy.md").replace('\n', " ");
    let (_, list) = page
        .split_once("There are flags for some of them: ")
        .unwrap();
    let (list, _) = list.split_once(". ").unwrap();
    let mut named: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let root = Arguments::command();
    let verify = root.find_subcommand("verify").unwrap();
    let group = verify
        .get_groups()
        .find(|group| group.get_id() == "policy_fields");
    let flags = verify.get_arguments();
    let flags = flags.filter(|flag| group.unwrap().get_args().any(|id| id == flag.get_id()));
    let mut known: Vec<String> = flags
        .map(|flag| format!("--{}", flag.get_long().unwrap()))
        .collect();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}

#[test]
fn a_limit_s_help_names_every_kind_that_it_is_for() {
    use clap::CommandFactory;
    let root = Arguments::command();
    let install = root.find_subcommand("install").unwrap();
    let mut flags = install.get_arguments();
    let flag = flags.find(|flag| flag.get_id() == "max_download").unwrap();
    let help = flag.get_help().unwrap().to_string();
    let sources = countersign_download::samples::sources();
    for source in sources.iter().filter(|source| source.checksum().is_some()) {
        assert!(help.contains(source.kind()), "{help}");
    }
}

/// A signing config names every service: a URL beside it would be without effect.
#[test]
fn no_url_of_a_service_stands_beside_a_signing_config() {
    use clap::CommandFactory;
    let page = include_str!("../../../../docs/signing.md");
    let mut root = Arguments::command();
    root.build();
    for name in ["sign", "merge"] {
        let command = root.find_subcommand(name).unwrap();
        let flags = || command.get_arguments();
        let config = flags().find(|flag| flag.get_id() == "signing_config");
        let others = command.get_arg_conflicts_with(config.unwrap());
        let of_services = flags().filter(|flag| {
            let heading = flag.get_help_heading().unwrap_or_default();
            heading.starts_with("Signing services")
                && flag.get_long().is_some_and(|long| long.ends_with("-url"))
        });
        for flag in of_services {
            let long = flag.get_long().unwrap();
            let is_refused = others.iter().any(|other| other.get_id() == flag.get_id());
            assert!(is_refused, "{name}: --{long} beside --signing-config");
            assert!(page.contains(&format!("`--{long}`")), "{long}");
        }
    }
}

/// Whether the help of `one` names `other`. The fields of a policy stand for themselves under `--policy`.
fn names(one: &clap::Arg, other: &clap::Arg) -> bool {
    let help = one.get_long_help().or(one.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let is_field = |arg: &clap::Arg| {
        arg.get_id() != "policy"
            && arg
                .get_help_heading()
                .is_some_and(|heading| heading.starts_with("Policy"))
    };
    let flag = other.get_long().map(|long| format!("--{long}"));
    match flag {
        // An operand and a flag: the usage has either.
        None => true,
        Some(flag) if is_field(other) => help.contains(&flag) || help.contains("fields"),
        Some(flag) => help.contains(&flag),
    }
}
