//! The real services: Fulcio, a CT log, rekor-tiles and the timestamp authority, on loopback, with
//! keys made for this run.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use countersign_sandbox::RekorVersion;

use super::instance::{Instance, ToldBy, trust_config};
use super::server::Server;
use super::tools::ServicePrograms;
use crate::command::Command;

/// Encrypts the CA's key, which Fulcio takes in no other form. The key lives as long as this run.
const PASSPHRASE: &str = "for-one-run";
/// When the services' keys begin to be good.
const SINCE: &str = "2024-01-01T00:00:00Z";
/// The log's name in checkpoints. Verifiers in Go look for the host of the log's URL, without its
/// port; those in Python and Rust for the key alone.
const LOG_ORIGIN: &str = "localhost";

/// The running services.
#[derive(Debug)]
pub(super) struct Services {
    pub(super) instance: Instance,
    /// Held for their end.
    _servers: [Server; 4],
}

impl Services {
    /// Starts the services, which take identity tokens from `issuer`.
    ///
    /// # Errors
    /// When keys can't be made or a service doesn't start.
    pub(super) fn start(
        programs: &ServicePrograms,
        issuer: &str,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let directory = directory.join("services");
        fs::create_dir_all(directory.join("tiles"))?;
        let keys = Keys::generate(&directory)?;

        let (ct_log, ct_log_address) = Server::start_announcing(
            "ctlog",
            &directory,
            &Command::new(&programs.ct_log).args([&keys.ct_log_der, &keys.ca_certificate]),
        )?;
        let ct_log_url = format!("http://{ct_log_address}/ctlog");
        let (fulcio, fulcio_at) = fulcio(programs, issuer, &ct_log_url, &keys, &directory)?;
        let (rekor, rekor_at) = rekor(programs, &keys, &directory)?;
        let (timestamps, timestamps_at) = timestamp_authority(programs, &directory)?;
        let timestamps_url = format!("http://{timestamps_at}");

        let chain = directory.join("tsa_chain.pem");
        fs::write(&chain, timestamp_chain(&timestamps_url)?)?;
        let urls = Urls {
            issuer,
            fulcio: format!("http://{fulcio_at}"),
            ct_log: ct_log_url,
            rekor: format!("http://localhost:{}", rekor_at.port()),
            timestamp_authority: format!("{timestamps_url}/api/v1/timestamp"),
        };
        let trusted_root = trusted_root(programs, &keys, &urls, &chain, &directory)?;
        let signing_config = signing_config(programs, &urls, &directory)?;
        let instance = Instance {
            name: "the real services",
            slug: "real",
            rekor_version: RekorVersion::V2,
            told_by: ToldBy::SigningConfig,
            trust_config: trust_config(&directory, &trusted_root, &signing_config)?,
            trusted_root,
            signing_config,
            fulcio: urls.fulcio,
            rekor: urls.rekor,
            timestamp_authority: urls.timestamp_authority,
        };
        Ok(Self {
            instance,
            _servers: [ct_log, fulcio, rekor, timestamps],
        })
    }
}

struct Urls<'a> {
    issuer: &'a str,
    fulcio: String,
    ct_log: String,
    rekor: String,
    timestamp_authority: String,
}

/// Files with the keys of CA and logs. The timestamp authority makes its own.
struct Keys {
    ca_key: PathBuf,
    ca_certificate: PathBuf,
    ct_log_der: PathBuf,
    ct_log_public: PathBuf,
    rekor: PathBuf,
    rekor_public: PathBuf,
}

impl Keys {
    fn generate(directory: &Path) -> anyhow::Result<Self> {
        let file = |name: &str| directory.join(name);
        let passphrase = format!("pass:{PASSPHRASE}");

        let ca_key = file("ca.key.pem");
        openssl(&[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            P256,
            "-aes-256-cbc",
        ])
        .args(["-pass", &passphrase, "-out"])
        .args([&ca_key])
        .run()?
        .success()?;
        let ca_certificate = file("ca.crt.pem");
        openssl(&["req", "-x509", "-sha256", "-days", "2"])
            .args(["-subj", "/O=countersign/CN=interop", "-passin", &passphrase])
            .args(["-addext", "basicConstraints=critical,CA:TRUE,pathlen:1"])
            .args(["-addext", "keyUsage=critical,keyCertSign,cRLSign", "-key"])
            .args([
                ca_key.as_os_str(),
                "-out".as_ref(),
                ca_certificate.as_os_str(),
            ])
            .run()?
            .success()?;

        let ct_log = key(&file("ct.pem"))?;
        let ct_log_der = file("ct.der");
        openssl(&["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in"])
            .args([ct_log.as_os_str(), "-out".as_ref(), ct_log_der.as_os_str()])
            .run()?
            .success()?;
        let rekor = key(&file("rekor.pem"))?;
        Ok(Self {
            ct_log_public: public(&ct_log, &file("ct.pub.pem"))?,
            rekor_public: public(&rekor, &file("rekor.pub.pem"))?,
            ca_key,
            ca_certificate,
            ct_log_der,
            rekor,
        })
    }
}

const P256: &str = "ec_paramgen_curve:P-256";

fn openssl(arguments: &[&str]) -> Command {
    Command::new("openssl")
        .inherit_environment()
        .args(arguments)
}

fn key(path: &Path) -> anyhow::Result<PathBuf> {
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", P256, "-out"])
        .args([path])
        .run()?
        .success()?;
    Ok(path.to_owned())
}

fn public(key: &Path, path: &Path) -> anyhow::Result<PathBuf> {
    openssl(&["pkey", "-pubout", "-in"])
        .args([key.as_os_str(), "-out".as_ref(), path.as_os_str()])
        .run()?
        .success()?;
    Ok(path.to_owned())
}

fn fulcio(
    programs: &ServicePrograms,
    issuer: &str,
    ct_log: &str,
    keys: &Keys,
    directory: &Path,
) -> anyhow::Result<(Server, SocketAddr)> {
    let config = directory.join("fulcio.yaml");
    // The subject becomes the certificate's name as it is, as those of CI providers do.
    let text = format!(
        "oidc-issuers:\n  {issuer}:\n    issuer-url: {issuer}\n    client-id: sigstore\n    \
         type: ci-provider\n    ci-provider: interop\nci-issuer-metadata:\n  interop:\n    \
         subject-alternative-name-template: \"{{{{.sub}}}}\"\n"
    );
    fs::write(&config, text)?;
    let (server, [address, _, _]) = Server::start("fulcio", directory, |[http, grpc, metrics]| {
        Ok(Command::new(&programs.fulcio)
            .args(["serve", "--host", "127.0.0.1", "--grpc-host", "127.0.0.1"])
            .args(["--port", &port(http), "--grpc-port", &port(grpc)])
            .args(["--metrics-port", &port(metrics)])
            // In the abstract namespace: no file that could be left over.
            .args([
                "--legacy-unix-domain-socket",
                &format!("@fulcio-{}", port(http)),
            ])
            .args(["--ca", "fileca", "--fileca-watch=false"])
            .args(["--fileca-key-passwd", PASSPHRASE, "--fileca-key"])
            .args([&keys.ca_key])
            .args(["--fileca-cert".as_ref(), keys.ca_certificate.as_os_str()])
            .args(["--ct-log-url", ct_log, "--config-path"])
            .args([&config]))
    })?;
    Ok((server, address))
}

fn rekor(
    programs: &ServicePrograms,
    keys: &Keys,
    directory: &Path,
) -> anyhow::Result<(Server, SocketAddr)> {
    let (server, [address, _, _]) = Server::start("rekor", directory, |[http, grpc, metrics]| {
        Ok(Command::new(&programs.rekor)
            .args(["serve", "--hostname", LOG_ORIGIN])
            .args(["--http-port", &port(http), "--grpc-port", &port(grpc)])
            .args(["--http-metrics-port", &port(metrics)])
            .args(["--checkpoint-interval", "1s", "--signer-filepath"])
            .args([&keys.rekor])
            .args([
                "--storage-dir".as_ref(),
                directory.join("tiles").as_os_str(),
            ]))
    })?;
    Ok((server, address))
}

fn timestamp_authority(
    programs: &ServicePrograms,
    directory: &Path,
) -> anyhow::Result<(Server, SocketAddr)> {
    let (server, [address]) = Server::start("timestamp-authority", directory, |[http]| {
        Ok(Command::new(&programs.timestamp_authority)
            .args(["serve", "--host", "127.0.0.1", "--port", &port(http)])
            // The machine's clock is what all of this run goes by.
            .args(["--disable-ntp-monitoring", "--timestamp-signer", "memory"])
            // It looks for a configuration file there.
            .env("HOME", directory))
    })?;
    Ok((server, address))
}

fn port(address: SocketAddr) -> String {
    address.port().to_string()
}

fn timestamp_chain(url: &str) -> anyhow::Result<String> {
    super::http::text(&format!("{url}/api/v1/timestamp/certchain"))
}

/// `cosign trusted-root create`: cosign's own idea of a trusted root.
fn trusted_root(
    programs: &ServicePrograms,
    keys: &Keys,
    urls: &Urls,
    timestamp_chain: &Path,
    directory: &Path,
) -> anyhow::Result<PathBuf> {
    let path = directory.join("trusted_root.json");
    let ca = keys.ca_certificate.display();
    let (ct_log, rekor) = (keys.ct_log_public.display(), keys.rekor_public.display());
    Command::new(&programs.cosign)
        .args(["trusted-root", "create"])
        .args([format!("--fulcio=url={},certificate-chain={ca}", urls.fulcio)])
        .args([format!("--ctfe=url={},public-key={ct_log},start-time={SINCE}", urls.ct_log)])
        .args([format!(
            "--rekor=url=http://{LOG_ORIGIN},public-key={rekor},start-time={SINCE},origin={LOG_ORIGIN}"
        )])
        .args([format!(
            "--tsa=url={},certificate-chain={}",
            urls.timestamp_authority,
            timestamp_chain.display()
        )])
        .args(["--out".as_ref(), path.as_os_str()])
        .env("HOME", directory)
        .run()?
        .success()?;
    Ok(path)
}

/// `cosign signing-config create`.
fn signing_config(
    programs: &ServicePrograms,
    urls: &Urls,
    directory: &Path,
) -> anyhow::Result<PathBuf> {
    let path = directory.join("signing_config.json");
    let service = |flag: &str, url: &str, version: u8| {
        format!("--{flag}=url={url},api-version={version},start-time={SINCE},operator=interop")
    };
    Command::new(&programs.cosign)
        .args(["signing-config", "create"])
        .args([service("fulcio", &urls.fulcio, 1)])
        .args([service("oidc-provider", urls.issuer, 1)])
        .args([service("rekor", &urls.rekor, 2)])
        .args([service("tsa", &urls.timestamp_authority, 1)])
        // sigstore-python refuses a config that doesn't say how many of each to use.
        .args(["--rekor-config=EXACT:1", "--tsa-config=EXACT:1"])
        .args(["--out".as_ref(), path.as_os_str()])
        .env("HOME", directory)
        .run()?
        .success()?;
    Ok(path)
}
