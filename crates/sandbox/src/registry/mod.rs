//! A registry that does what a test wants, rightly or wrongly.
use countersign_oci::Repository;
/// How the server behaves.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Serves `/referrers/`; default false (like GHCR)...
    pub referrers_api: bool,
    pub auth: Auth,
    pub faults: Vec<Fault>,
    /// Referrers per page.
    pub page_size: Option<usize>,
}
#[derive(Debug, Clone, Default)]
pub enum Auth {
    #[default]
    Anonymous,
    Basic {
        user: String,
        password: String,
    },
    /// Bearer tokens from a token endpoint of this server, one scope each.
    Bearer {
        user: Option<(String, String)>,
    },
}
/// A misbehaviour, by request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {/* status on path, wrong body, truncation, stall, redirect, html, lying header, moved tag ... */}
/// A request the server got, for assertions.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
}
pub struct RegistryServer(());
impl RegistryServer {
    pub async fn start(options: RegistryOptions) -> std::io::Result<Self> {
        let _ = options;
        todo!()
    }
    /// `127.0.0.1:port`
    pub fn host(&self) -> String {
        todo!()
    }
    pub fn repository(&self, path: &str) -> Repository {
        let _ = path;
        todo!()
    }
    pub fn requests(&self) -> Vec<Request> {
        todo!()
    }
    // direct access to the store, bypassing HTTP: put/replace/remove blobs, manifests, tags
}
