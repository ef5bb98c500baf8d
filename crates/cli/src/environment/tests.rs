//! What is made of variables.

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    Environment {
        variables,
        settings: Settings::default(),
        last_failure: LastFailure::default(),
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let environment = environment(&[("COUNTERSIGN_CACHE_DIR", ""), ("HOME", "/home/u")]);
    assert_eq!(
        environment.cache_directory(),
        Some("/home/u/.cache/countersign".into())
    );
}

#[test]
fn the_user_s_configuration_is_in_an_absolute_directory_or_nowhere() {
    let directory = |variables: &[_]| environment(variables).configuration_directory();
    let home = ("HOME", "/home/u");
    let expected = Some("/home/u/.config/countersign".into());
    assert_eq!(directory(&[home]), expected);
    assert_eq!(directory(&[home, ("XDG_CONFIG_HOME", "here")]), expected);
    // By the specification a relative directory is ignored, whichever it is.
    for name in ["XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"] {
        let (with, without) = (environment(&[home, (name, "here")]), environment(&[home]));
        assert_eq!(with.cache_directory(), without.cache_directory());
        assert_eq!(with.store_directory(), without.store_directory());
        assert_eq!(with.credential_files(), without.credential_files());
    }
    let named = directory(&[home, ("XDG_CONFIG_HOME", "/config")]);
    assert_eq!(named, Some("/config/countersign".into()));
    for without in [&[][..], &[("HOME", "")], &[("HOME", "here")]] {
        assert_eq!(directory(without), None, "{without:?}");
        assert_eq!(environment(without).store_directory(), None);
    }
}

#[test]
fn colours_follow_the_usual_variables_and_no_color_comes_first() {
    for (variables, when) in [
        (&[][..], ColorWhen::Auto),
        (&[("NO_COLOR", "")], ColorWhen::Auto),
        (&[("NO_COLOR", "1")], ColorWhen::Never),
        (&[("CLICOLOR_FORCE", "1")], ColorWhen::Always),
        (&[("CLICOLOR_FORCE", "0")], ColorWhen::Auto),
        (
            &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")],
            ColorWhen::Never,
        ),
        (&[("CLICOLOR", "0")], ColorWhen::Never),
        (
            &[("CLICOLOR", "0"), ("CLICOLOR_FORCE", "1")],
            ColorWhen::Always,
        ),
        (&[("TERM", "dumb")], ColorWhen::Never),
        (&[("TERM", "xterm-256color")], ColorWhen::Auto),
    ] {
        assert_eq!(environment(variables).colours(), when, "{variables:?}");
    }
}

#[test]
fn a_browser_is_opened_on_a_desktop_that_the_person_sees() {
    let seen = |variables: &[_]| environment(variables).has_desktop();
    assert!(seen(&[("DISPLAY", ":0")]));
    assert!(seen(&[("WAYLAND_DISPLAY", "wayland-0")]));
    assert!(seen(&[("WSL_DISTRO_NAME", "Debian")]));
    assert_eq!(seen(&[("DISPLAY", "")]), cfg!(target_os = "macos"));
    let ssh = ("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    assert!(!seen(&[("DISPLAY", ":10"), ssh]));
}

#[test]
fn a_ci_is_told_by_its_variable() {
    let ci = |value| environment(&[("CI", value)]).is_ci();
    assert!(ci("true") && ci("1") && ci("woodpecker"));
    assert!(!ci("") && !ci("false") && !ci("0"));
}

#[test]
fn strict_mode_is_asked_for_plainly_or_not_at_all() {
    let asked =
        |value| environment(&[("COUNTERSIGN_REQUIRE_INTEGRITY", value)]).require_integrity();
    for yes in ["1", "true", "TRUE", "yes", "on"] {
        assert_eq!(asked(yes), Ok(true), "{yes}");
    }
    for no in ["", "0", "false", "No", "off"] {
        assert_eq!(asked(no), Ok(false), "{no}");
    }
    assert_eq!(environment(&[]).require_integrity(), Ok(false));
    for neither in ["ture", "2", "strict", " "] {
        let found = neither.to_owned();
        let variable = Variable::RequireIntegrity;
        assert_eq!(asked(neither), Err(NotABoolean { variable, found }));
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_unicode_does_not_turn_strict_mode_off() {
    use std::os::unix::ffi::OsStringExt as _;
    let variable = Variable::RequireIntegrity;
    let value = OsString::from_vec(vec![0xff, b'1']);
    let environment = Environment {
        variables: vec![(variable.name().to_owned(), value)],
        settings: Settings::default(),
        last_failure: LastFailure::default(),
    };
    let found = "\u{fffd}1".to_owned();
    let expected = NotABoolean { variable, found };
    assert_eq!(environment.require_integrity(), Err(expected));
}

fn usual(variables: &[(&str, &str)]) -> Vec<PathBuf> {
    match environment(variables).credential_files() {
        CredentialFiles::Usual(files) => files,
        CredentialFiles::Named(file) => panic!("{}", file.display()),
    }
}

#[test]
fn credential_files_are_those_of_podman_and_docker_in_podman_s_order() {
    let home = [("HOME", "/home/u"), ("XDG_RUNTIME_DIR", "/run/user/7")];
    let expected: [PathBuf; 3] = [
        "/run/user/7/containers/auth.json".into(),
        "/home/u/.config/containers/auth.json".into(),
        "/home/u/.docker/config.json".into(),
    ];
    assert_eq!(usual(&home), expected);
    let variables = [
        ("HOME", "/home/u"),
        ("XDG_RUNTIME_DIR", "/run/user/7"),
        ("XDG_CONFIG_HOME", "/config"),
        ("DOCKER_CONFIG", "/docker"),
    ];
    let expected: [PathBuf; 3] = [
        "/run/user/7/containers/auth.json".into(),
        "/config/containers/auth.json".into(),
        "/docker/config.json".into(),
    ];
    assert_eq!(usual(&variables), expected);
}

#[test]
fn without_a_run_directory_podman_s_own_is_taken() {
    let user = rustix::process::getuid().as_raw();
    let expected: [PathBuf; 1] = [format!("/run/containers/{user}/auth.json").into()];
    assert_eq!(usual(&[]), expected);
}

#[test]
fn a_credential_file_that_is_named_is_the_only_one() {
    let variables = [
        ("REGISTRY_AUTH_FILE", "/r.json"),
        ("DOCKER_CONFIG", "/d"),
        ("HOME", "/home/u"),
        ("XDG_RUNTIME_DIR", "/run/u"),
    ];
    let expected = CredentialFiles::Named("/r.json".into());
    assert_eq!(environment(&variables).credential_files(), expected);
}

#[test]
fn the_page_on_scripting_names_every_variable_that_is_read_and_no_other() {
    let page = include_str!("../../../../docs/scripting.md");
    let (_, section) = page.split_once("\n## Environment variables\n").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split_once(" | "));
    let names = cells.flat_map(|(variables, _)| variables.split(", "));
    let mut named: Vec<&str> = names.map(|name| name.trim_matches('`')).collect();
    let mut read: Vec<&str> = Variable::ALL.iter().map(|one| one.name()).collect();
    named.sort_unstable();
    read.sort_unstable();
    assert_eq!(named, read);
}
