//! Fulcio, CT log, Rekor v1 and v2, timestamp authority, OIDC issuer and TUF repository.
use url::Url;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RekorVersion {
    V1,
    V2,
}
/// A running local Sigstore; its servers end when it is dropped.
pub struct Sigstore(());
impl Sigstore {
    pub async fn start() -> std::io::Result<Self> {
        todo!()
    }
    pub fn fulcio_url(&self) -> Url {
        todo!()
    }
    pub fn rekor_url(&self, version: RekorVersion) -> Url {
        let _ = version;
        todo!()
    }
    pub fn tsa_url(&self) -> Url {
        todo!()
    }
    pub fn oidc_issuer(&self) -> Url {
        todo!()
    }
    pub fn tuf_url(&self) -> Url {
        todo!()
    }
    /// Initial TUF root.json.
    pub fn tuf_root(&self) -> Vec<u8> {
        todo!()
    }
    pub fn trusted_root_json(&self) -> String {
        todo!()
    }
    pub fn signing_config_json(&self, version: RekorVersion) -> String {
        let _ = version;
        todo!()
    }
    /// An OIDC token for which Fulcio issues a certificate with SAN URI (or email, where it holds an @ and no scheme) `identity`, issuer extension [`Self::oidc_issuer`].
    pub fn token(&self, identity: &str) -> String {
        let _ = identity;
        todo!()
    }
    /// A token that expired.
    pub fn expired_token(&self, identity: &str) -> String {
        let _ = identity;
        todo!()
    }
}
