use super::*;

const P256: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/R+cs299EoFyj7/u+BdI6yovt5O0
7DssJqcXv150wLar7I7QrXmyKGlmBa0S5z2DvVRe7LKh7/Ux9HITkrmQEg==
-----END PUBLIC KEY-----
";
const P384: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVolRGgzNUSrPkp+q2KEcyZOU2A2t8mYd
mFVn3N8ABMgjA2JPr5X/TrHQvNzry66ItRJ2YCgFfWQ8nKdx2muQYY427Icul8Mw
0QNWNrnsHxykXDP2I/WVhwRO1Uj4g4xj
-----END PUBLIC KEY-----
";
const ED25519: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA7vz1bPsVuDQPtbt9vktabMdieuSZE3txJie57zHTiyg=
-----END PUBLIC KEY-----
";
const RSA_2048: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvpiV7FbyNbNpT6eCyrag
34ciP+R0EtAXlfRXbtUqBDg4CDdNGxOJQMibRleyOIov+CFjnewFl7pChkprCZ02
oqx8CtOOqci5qCcf66a1L+IlVItVLd4XbOekYfNP96XbfhXdAg4vUtxg8HMBDGSr
4LT9MbiIxbZOqxWcQu9duGypAcL+3Hp1V2un8BHa0de0jt5yxrZRa1n9e0b0L7qm
Q5IZgbPbh82dGRCJ55kG5RoyB/Vk4/qb/3CbUvmy4fx5ogUjJO6//3pI1EyPY/CF
rSf6rbDvnoix4sw4IWTUGaKFwWGVIXwz2DOPAtxdrDCvL3cv936oWEQfD8DjiUZE
RwIDAQAB
-----END PUBLIC KEY-----
";
const RSA_1024: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC9H0o8dhDu8LT1ckG08xusQqfq
6RtijhPMJw2bXZuM9mj4sB4IYU7FxkOX6xP1xh0f5rDAMcWx0zXS7iG155dhr8C0
mJsNX8yv90cGeTRiiE335FpAs+SBjZJEOIzAeXNQbpDbdedPne5DxnZZYkOdl1IF
fNAQOxkVYh59Tpx7fQIDAQAB
-----END PUBLIC KEY-----
";
const P521: &str = "\
-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQB924Vld4J66HOgWMk28MwDfwfVHZZ
ALum3c33A5ViD7I8IykYr06JO5Fw4phgI88qzxKtMotuWap6rmg7Yu9DAvsB1JK3
6p3qUy5bbSyROe1OJ5i20SQcNWqs8LfyvzJ2d6MSZM/hAmv5SM2KYMTupnA88vke
WGRYDiYYnqd0veNuM6g=
-----END PUBLIC KEY-----
";

fn refused(text: &str) -> PublicKeyError {
    PublicKey::from_pem(text).unwrap_err()
}

#[test]
fn a_key_is_named_by_the_hash_of_its_der() {
    let key = PublicKey::from_pem(P256).unwrap();
    // As `openssl pkey -pubin -in cosign.pub -outform DER | sha256sum` prints it.
    let expected = "SHA-256:8e7f42f73ec2effca1d6d58ab32a3689655323cecddf5591379e7a82507f65aa";
    assert_eq!(key.fingerprint().to_string(), expected);
    assert_eq!(
        expected.parse::<KeyFingerprint>().unwrap(),
        key.fingerprint()
    );
    let record = serde_json::to_string(&key.fingerprint()).unwrap();
    assert_eq!(record, format!("{expected:?}"));
    for other in [
        "",
        "8e7f42f73ec2effca1d6d58ab32a3689655323cecddf5591379e7a82507f65aa",
        "sha-256:8e7f42f73ec2effca1d6d58ab32a3689655323cecddf5591379e7a82507f65aa",
        "SHA-256:8E7F42F73EC2EFFCA1D6D58AB32A3689655323CECDDF5591379E7A82507F65AA",
        "SHA-256:8e7f42f73ec2effca1d6d58ab32a3689655323cecddf5591379e7a82507f65a",
    ] {
        assert!(other.parse::<KeyFingerprint>().is_err(), "{other}");
    }
}

#[test]
fn four_kinds_of_keys_are_read() {
    let kind = |text| PublicKey::from_pem(text).unwrap().kind();
    let found = [P256, P384, ED25519, RSA_2048].map(kind);
    assert_eq!(found, ["ECDSA P-256", "ECDSA P-384", "Ed25519", "RSA"]);
    let with_other_line_ends = P256.replace('\n', "\r\n");
    assert_eq!(kind(&with_other_line_ends), "ECDSA P-256");
}

#[test]
fn what_is_no_such_key_is_refused_and_not_repeated() {
    assert_eq!(refused(""), PublicKeyError::NoPem);
    assert_eq!(refused("cosign.pub"), PublicKeyError::NoPem);
    assert_eq!(refused(P521), PublicKeyError::Unsupported);
    assert_eq!(refused(RSA_1024), PublicKeyError::RsaSize { bits: 1024 });
    insta::assert_snapshot!(refused(RSA_1024), @"expected an RSA key of 2048 to 8192 bits, found one of 1024");
    // Another type stands in place of the modulus.
    let other = RSA_2048.replace("MIIBCgKC", "MIIBCgSC");
    assert_eq!(refused(&other), PublicKeyError::Unsupported);
    assert_eq!(
        refused(&P256.replace("MFkw", "MFkx")),
        PublicKeyError::Unsupported
    );
    assert_eq!(refused(&P256.replace("MFkw", "!")), PublicKeyError::Damaged);
    // A line is missing: it is no key of another kind.
    for key in [P256, P384, RSA_2048] {
        let lines: Vec<&str> = key.lines().collect();
        let cut = [&lines[..2], &lines[lines.len() - 1..]].concat().join("\n");
        assert_eq!(refused(&cut), PublicKeyError::Damaged, "{cut}");
    }
    assert_eq!(
        refused(&P256.replace("-----END", "----END")),
        PublicKeyError::Damaged
    );
    let two = [P256, P384].concat();
    assert_eq!(refused(&two), PublicKeyError::SeveralBlocks { found: 2 });
    let private = format!(
        "{}{}",
        P256.replace("PUBLIC KEY", "EC PARAMETERS"),
        P256.replace("PUBLIC KEY", "EC PRIVATE KEY")
    );
    let error = refused(&private).to_string();
    assert!(error.contains("a private key does not belong"), "{error}");
    for label in [
        "CERTIFICATE",
        "ENCRYPTED SIGSTORE PRIVATE KEY",
        "EC PRIVATE KEY",
        "RSA PUBLIC KEY",
    ] {
        let error = refused(&P256.replace("PUBLIC KEY", label));
        assert_eq!(
            error,
            PublicKeyError::OtherBlock {
                found: label.into()
            }
        );
        assert!(!error.to_string().contains("MFkw"), "{error}");
        let private = error.to_string().contains("does not belong in a policy");
        assert_eq!(private, label.contains("PRIVATE"), "{error}");
    }
}
