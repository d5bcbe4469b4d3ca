//! PostgreSQL over TLS: what was asked for, or nothing.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use rat_sql::test_util::Server;
use rat_sql::{DatabaseUrl, Error, Options, Pool, sql};
use rat_types::Kind;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::THINGS;

/// Over TCP nobody gets in without TLS, and `certified` only with a certificate.
const ACCESS: &str = "local all all trust\n\
                      hostssl all certified all cert\n\
                      hostssl all all all trust\n";

/// An authority and what it signed.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate and its key.
    fn sign(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A server whose certificate is for one of its two addresses, and files for clients.
struct Setup {
    folder: TempDir,
    named: IpAddr,
    unnamed: IpAddr,
    _server: Server,
}

impl Setup {
    async fn start() -> Option<Self> {
        // All of 127.0.0.0/8 is this machine: with an address of its own every server can have
        // the same port.
        let address = |last| IpAddr::from(Ipv4Addr::new(127, rand(), rand(), last));
        let (named, unnamed) = (address(1), address(2));
        let authority = Authority::new("the authority");
        let mut params = CertificateParams::new([named.to_string()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (certificate, key) = authority.sign(&params);
        let server = Server::start(
            &[
                ("listen_addresses", &format!("{named},{unnamed}")),
                ("ssl", "on"),
                ("ssl_ca_file", "authority.pem"),
                ("ssl_cert_file", "server.pem"),
                ("ssl_key_file", "server.key"),
            ],
            &[
                ("authority.pem", &authority.pem),
                ("server.pem", &certificate),
                ("server.key", &key),
                ("pg_hba.conf", ACCESS),
            ],
        )
        .await?;
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "certified");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (certificate, key) = authority.sign(&params);
        for (name, content) in [
            ("authority.pem", &authority.pem),
            ("other.pem", &Authority::new("another one").pem),
            ("client.pem", &certificate),
            ("client.key", &key),
        ] {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        Some(Self {
            folder,
            named,
            unnamed,
            _server: server,
        })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn verified(&self, host: IpAddr, authorities: &str) -> String {
        let path = self.path(authorities);
        format!("postgres://rat@{host}/rat?sslmode=verify-full&sslrootcert={path}")
    }
}

/// Some number that another test process hardly has as well.
fn rand() -> u8 {
    KeyPair::generate().unwrap().public_key_raw()[7]
}

async fn open(url: &str) -> Result<Pool, Error> {
    let options = Options {
        acquire_timeout: Duration::from_secs(30),
        ..Options::default()
    };
    Pool::open_with(&url.parse::<DatabaseUrl>().unwrap(), options).await
}

async fn is_encrypted(pool: &Pool) -> bool {
    let query = sql!("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    pool.fetch_one(query).await.unwrap()
}

/// An error with all its causes, as a daemon prints it.
async fn refusal(url: &str) -> String {
    let error = open(url).await.map(drop).unwrap_err();
    assert_eq!(error.reason(), "DATABASE_OPEN_FAILED");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn a_certificate_for_the_host_by_the_given_authority_is_accepted() {
    let Some(setup) = Setup::start().await else {
        return;
    };
    let pool = open(&setup.verified(setup.named, "authority.pem"))
        .await
        .unwrap();
    assert!(is_encrypted(&pool).await);
    // The lock of migrations has a connection of its own.
    assert_eq!(pool.migrate(&[THINGS]).await.unwrap(), 1);

    // Without being asked for, where the server offers it.
    let url = format!("postgres://rat@{}/rat", setup.unnamed);
    assert!(is_encrypted(&open(&url).await.unwrap()).await);
    let url = format!("{url}?sslmode=require");
    assert!(is_encrypted(&open(&url).await.unwrap()).await);

    let create = sql!("CREATE ROLE certified LOGIN");
    pool.execute(create).await.unwrap();
    let url = format!("postgres://certified@{}/rat?sslmode=require", setup.named);
    let refused = refusal(&url).await;
    assert!(
        refused.contains("requires a valid client certificate"),
        "{refused}"
    );
    let (certificate, key) = (setup.path("client.pem"), setup.path("client.key"));
    let url = format!("{url}&sslcert={certificate}&sslkey={key}");
    assert!(is_encrypted(&open(&url).await.unwrap()).await);
}

#[tokio::test]
async fn a_server_that_cannot_prove_who_it_is_is_refused_with_host_and_cause() {
    let Some(setup) = Setup::start().await else {
        return;
    };
    let (named, unnamed) = (setup.named, setup.unnamed);

    let wrong_authority = refusal(&setup.verified(named, "other.pem")).await;
    let expected = format!(
        "failed to open postgres database rat at {named}:5432: \
         invalid peer certificate: UnknownIssuer"
    );
    assert!(wrong_authority.starts_with(&expected), "{wrong_authority}");

    let systems_authorities = format!("postgres://rat@{named}/rat?sslmode=verify-full");
    let refused = refusal(&systems_authorities).await;
    assert!(refused.contains("UnknownIssuer"), "{refused}");

    let wrong_host = refusal(&setup.verified(unnamed, "authority.pem")).await;
    let expected = format!(
        "failed to open postgres database rat at {unnamed}:5432: \
         invalid peer certificate: certificate not valid for name \"{unnamed}\""
    );
    assert!(wrong_host.starts_with(&expected), "{wrong_host}");

    let plain = format!("postgres://rat@{named}/rat?sslmode=disable");
    let refused = refusal(&plain).await;
    assert!(refused.contains("no encryption"), "{refused}");
}

/// Somebody in between could answer so, and wait for the password.
#[tokio::test]
async fn nothing_is_said_in_the_clear_to_a_server_without_tls() {
    for mode in ["require", "verify-full"] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut request = [0_u8; 8];
            client.read_exact(&mut request).await.unwrap();
            client.write_all(b"N").await.unwrap();
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
            rest
        };
        let url = format!("postgres://rat:hunter2@127.0.0.1:{port}/rat?sslmode={mode}");
        let (rest, refused) = tokio::join!(server, refusal(&url));
        assert_eq!(rest, b"", "{mode}");
        assert!(
            refused.ends_with(": server does not support TLS"),
            "{mode}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_socket_has_no_tls_to_require() {
    let Some(url) = rat_sql::test_util::postgres_url().await else {
        return;
    };
    if !url.contains("%2F") {
        // The server of RAT_TEST_POSTGRES_URL is somewhere else.
        return;
    }
    let url = url.replace("sslmode=prefer", "sslmode=require");
    let refused = refusal(&url).await;
    assert!(
        refused.ends_with("server does not support TLS"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_file_that_tls_needs_is_named_when_it_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let url = |path: &Path| {
        let path = path.display();
        format!("postgres://rat@127.0.0.1:1/rat?sslmode=verify-full&sslrootcert={path}")
    };
    let missing = folder.path().join("missing.pem");
    let refused = refusal(&url(&missing)).await;
    let named = format!("failed to read {}: No such file", missing.display());
    assert!(refused.contains(&named), "{refused}");

    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let refused = refusal(&url(&empty)).await;
    let named = format!(
        "failed to read {}: there is nothing in PEM",
        empty.display()
    );
    assert!(refused.contains(&named), "{refused}");
}

#[tokio::test]
async fn a_server_that_refuses_connections_is_told_from_one_that_is_slow() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let options = Options {
        acquire_timeout: Duration::from_millis(100),
        ..Options::default()
    };
    let url = format!("postgres://rat@127.0.0.1:{port}/rat");
    let error = Pool::open_with(&url.parse().unwrap(), options)
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("Connection refused"), "{cause}");
}
