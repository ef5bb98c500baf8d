//! What a file sets, and how its mistakes are told.

use super::*;

fn read(text: &str) -> Result<Settings, String> {
    let path = Path::new("/c/countersign.toml");
    parse(text, path, Scope::User, None).map_err(|failure| {
        let said = failure.said().into_iter().map(|(_, said)| said);
        said.collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn every_key_is_read() {
    let settings = read(
        "gallery = 'g.yaml'\npolicy = '../p.yaml'\ntrust = './root'\nsigning-config = '/s.json'\n\
         store = 'st ore'\nproxy = 'http://me:pw@proxy:3128'\nno-proxy = ['localhost', '.example.org']\n",
    );
    let settings = settings.unwrap();
    assert_eq!(settings.gallery.unwrap().value, Path::new("/c/g.yaml"));
    assert_eq!(settings.policy.unwrap().value, Path::new("/c/../p.yaml"));
    let trust = TrustSetting::File("/c/./root".into());
    assert_eq!(settings.trust.unwrap().value, trust);
    let signing = settings.signing_config.unwrap();
    assert_eq!(signing.value, Path::new("/s.json"));
    assert_eq!(settings.store.unwrap().value, Path::new("/c/st ore"));
    let proxy = settings.proxy.unwrap().value;
    assert_eq!(proxy.url.host_str(), Some("proxy"));
    assert_eq!(proxy.no_proxy.to_string(), "localhost,.example.org");
    let settings = read("allow = ['/home/me/work', '/srv']").unwrap();
    assert_eq!(settings.allow, ["/home/me/work", "/srv"].map(PathBuf::from));
    for wrong in ["'/srv'", "['srv']", "['~/srv']", "['']", "[1]"] {
        let said = read(&format!("allow = {wrong}")).unwrap_err();
        assert!(said.contains("allow: expected"), "{wrong}: {said}");
    }
    for instance in SigstoreInstance::ALL {
        let settings = read(&format!("trust = '{}'", instance.name())).unwrap();
        let trust = TrustSetting::Instance(instance);
        assert_eq!(settings.trust.unwrap().value, trust);
    }
    assert_eq!(read("# nothing\n"), Ok(Settings::default()));
    assert!(read("\u{feff}store = '/x'\r\n").unwrap().store.is_some());
}

#[test]
fn all_mistakes_are_told_at_once_each_with_a_mark() {
    let said = read(
        "signing_config = 's.json'\ngallery = 3\n  store = \"\" # here\ntrust = 'gihub'\n\
         no-proxy = ['a', 7, 'b,c', 'h:p']\npolicy = '~/p.yaml'\nnonsense = true\n[proxy]\nurl = 'x'\n",
    );
    insta::assert_snapshot!(said.unwrap_err(), @r#"
    /c/countersign.toml:1:1: signing_config: unknown key: did you mean `signing-config`?
      |
    1 | signing_config …
      | ^^^^^^^^^^^^^^
    /c/countersign.toml:2:11: gallery: expected a path, in quotes, found a number
      |
    2 | gallery = 3
      |           ^
    /c/countersign.toml:3:11: store: expected a path, found nothing
      |
    3 |   store = "" …
      |           ^^
    /c/countersign.toml:4:9: trust: `gihub` is no instance: did you mean `github`?
      |
    4 | trust = 'gihub'
      |         ^^^^^^^
    /c/countersign.toml:5:18: no-proxy: expected a host, found a number
      |
    5 | no-proxy = ['a', 7…
      |                  ^
    /c/countersign.toml:5:21: no-proxy: expected one host
      |
    5 | no-proxy = ['a', 7, 'b,c'…
      |                     ^^^^^
    /c/countersign.toml:5:28: no-proxy: expected a host name, an address, or a network such as 10.0.0.0/8, found `h:p`
      |
    5 | no-proxy = ['a', 7, 'b,c', 'h:p']
      |                            ^^^^^
    /c/countersign.toml:6:10: policy: `~` has no meaning here: write the whole path, or one that is relative to this file
      |
    6 | policy = '~/p.yaml'
      |          ^^^^^^^^^^
    /c/countersign.toml:7:1: nonsense: unknown key: expected one of gallery, policy, trust, signing-config, store, proxy, no-proxy, allow
      |
    7 | nonsense …
      | ^^^^^^^^
    /c/countersign.toml:8:2: proxy: expected the address of a proxy, in quotes, found a table
      |
    8 | [proxy]
      |  ^^^^^
    correct the file; its keys are gallery, policy, trust, signing-config, store, proxy, no-proxy and allow
    "#);
}

#[test]
fn what_can_t_be_parsed_is_marked_where_it_stands() {
    let said = |text: &str| read(text).unwrap_err();
    let text = "store = /srv/models\ngallery = 'a\npolicy = 'x'\npolicy = 'y'\n";
    insta::assert_snapshot!(said(text), @r#"
    /c/countersign.toml:1:9: string values must be quoted, expected literal string
      |
    1 | store = /srv/models
      |         ^^^^^^^^^^^
    /c/countersign.toml:2:13: invalid literal string, expected `'`
    /c/countersign.toml:4:1: duplicate key
      |
    4 | policy …
      | ^^^^^^
    the file is TOML: write `key = "value"`, with the value in quotes
    "#);
    assert!(said("{\"store\": 1}").starts_with("/c/countersign.toml:1:1: "));
}

/// An address of a proxy may have a password, and the file may be another one than was meant.
#[test]
fn no_secret_is_shown() {
    for text in [
        "proxy = 'ftp://me:hunter2@proxy'",
        "proxy = ['http://me:hunter2@proxy']",
        "proxy = 'http://me:hunter2@proxy",
        "proxy = http://me:hunter2@proxy",
        "password = 'hunter2'",
        "password = hunter2",
        "password hunter2",
        "[default]\naws_secret_access_key = hunter2",
        "no-proxy = ['a']\ntoken = {a = 'hunter2'}",
    ] {
        let said = read(text).unwrap_err();
        assert!(!said.contains("hunter2"), "{text}\n{said}");
    }
}
