//! The provider `jwt`: tokens signed with every kind of key, and tokens that only look as if they were.

mod incident;

use crate::support::gated::{Gated, field, items, reason};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value as Json, json};
use starr::provider::{HealthState, Provider};
use starr::providers::jwt::Jwt;
use starr::value::{Reason, Secret, Value};
use std::process::Command;
use std::sync::Arc;

fn code(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A token with this header and these claims, signed by `sign`.
fn token(header: &Json, claims: &Json, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!(
        "{}.{}",
        code(header.to_string().as_bytes()),
        code(claims.to_string().as_bytes())
    );
    let sign = code(&sign(message.as_bytes()));
    format!("{message}.{sign}")
}

fn secret(text: &str) -> (&'static str, Value) {
    ("token", Value::Secret(Secret::new(Value::text(text))))
}

fn keys() -> (&'static str, Value) {
    (
        "keys",
        Value::Resource {
            kind: "KeySet".into(),
            name: "shop".into(),
        },
    )
}

fn jwt(config: &str) -> Jwt {
    Jwt::new(&serde_yaml::from_str(&format!("keys: {{ shop: {config} }}")).unwrap()).unwrap()
}

fn world(config: &str) -> Gated {
    Gated::new(Arc::new(jwt(config)), vec![keys()])
}

/// A folder with a key set of one key of Ed25519 called `one`, and the key.
struct Signer {
    folder: tempfile::TempDir,
    key: Ed25519KeyPair,
}

impl Signer {
    fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let public =
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "one", "use": "sig", "x": code(key.public_key().as_ref())});
        let other = json!({"kty": "oct", "kid": "two", "k": code(b"swordfish")});
        std::fs::write(
            folder.path().join("keys.json"),
            json!({"keys": [public, other]}).to_string(),
        )
        .unwrap();
        Self { folder, key }
    }

    fn config(&self) -> String {
        format!("{{ file: {} }}", self.folder.path().join("keys.json").display())
    }

    fn token(&self, claims: &Json) -> String {
        token(&json!({"alg": "EdDSA", "kid": "one"}), claims, |message| {
            self.key.sign(message).as_ref().to_vec()
        })
    }
}

async fn trouble(world: &Gated, text: &str, more: &[(&str, Value)]) -> Value {
    let mut arguments = vec![secret(text)];
    arguments.extend(more.iter().cloned());
    let verdict = world.read("verify", &arguments).await;
    let holds = field(&verdict, "holds");
    let trouble = field(&verdict, "trouble");
    assert_eq!(holds == Value::Bool(true), trouble == Value::None);
    trouble
}

#[tokio::test]
async fn a_token_holds_only_while_everything_about_it_does() {
    let signer = Signer::new();
    let world = world(&signer.config());
    let claims = json!({"iss": "https://id.test", "aud": ["shop", "mail"], "exp": now() + 600, "nbf": now() - 600});
    let good = signer.token(&claims);
    assert_eq!(trouble(&world, &good, &[]).await, Value::None);
    assert_eq!(trouble(&world, &format!("Bearer {good}"), &[]).await, Value::None);
    let for_us = [
        ("issuer", Value::text("https://id.test")),
        ("audience", Value::text("mail")),
    ];
    assert_eq!(trouble(&world, &good, &for_us).await, Value::None);
    let other = [("issuer", Value::text("https://id.test.evil"))];
    assert_eq!(trouble(&world, &good, &other).await, Value::variant("wrong_issuer"));
    let other = [("audience", Value::text("sho"))];
    assert_eq!(trouble(&world, &good, &other).await, Value::variant("wrong_audience"));
    // The clock may be off by a minute, and by no more.
    let ended = |ago: i64| signer.token(&json!({"exp": now() - ago}));
    assert_eq!(trouble(&world, &ended(30), &[]).await, Value::None);
    assert_eq!(trouble(&world, &ended(90), &[]).await, Value::variant("expired"));
    let strict = [("skew", Value::Duration(0))];
    assert_eq!(trouble(&world, &ended(30), &strict).await, Value::variant("expired"));
    let early = signer.token(&json!({"nbf": now() + 600}));
    assert_eq!(trouble(&world, &early, &[]).await, Value::variant("not_valid_yet"));
    // One letter of the claims is another.
    let parts: Vec<&str> = good.split('.').collect();
    let changed = format!(
        "{}.{}.{}",
        parts[0],
        code(json!({"exp": now() + 6000}).to_string().as_bytes()),
        parts[2]
    );
    assert_eq!(trouble(&world, &changed, &[]).await, Value::variant("wrong_signature"));
}

#[tokio::test]
async fn the_usual_forgeries_do_not_hold() {
    let signer = Signer::new();
    let world = world(&signer.config());
    let claims = json!({"exp": now() + 600});
    let public = signer.key.public_key().as_ref().to_vec();
    let shared = |secret: Vec<u8>| {
        move |message: &[u8]| {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
            ring::hmac::sign(&key, message).as_ref().to_vec()
        }
    };
    for (header, sign, said) in [
        (json!({"alg": "none", "kid": "one"}), vec![], "other_algorithm"),
        (json!({"alg": "NONE"}), vec![], "other_algorithm"),
        (json!({"kid": "one"}), vec![], "other_algorithm"),
        // A public key taken for a shared secret, and a secret that stands in the set.
        (json!({"alg": "HS256", "kid": "one"}), public.clone(), "other_algorithm"),
        (
            json!({"alg": "HS256", "kid": "two"}),
            b"swordfish".to_vec(),
            "unknown_key",
        ),
        (json!({"alg": "RS256", "kid": "one"}), public.clone(), "other_algorithm"),
        (json!({"alg": "EdDSA", "kid": "three"}), public.clone(), "unknown_key"),
        (json!({"alg": "EdDSA", "kid": "one"}), public.clone(), "wrong_signature"),
        (
            json!({"alg": "EdDSA", "kid": "one", "crit": ["x"]}),
            public.clone(),
            "other_algorithm",
        ),
    ] {
        let forged = token(&header, &claims, shared(sign));
        assert_eq!(trouble(&world, &forged, &[]).await, Value::variant(said), "{header}");
    }
    let unsigned = token(&json!({"alg": "none"}), &claims, |_| Vec::new());
    assert_eq!(trouble(&world, &unsigned, &[]).await, Value::variant("other_algorithm"));
}

#[tokio::test]
async fn keys_of_every_kind_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let claims = json!({"exp": now() + 600});
    // RSA, made and signed by another implementation.
    let openssl = |words: &[&str]| {
        let output = Command::new("openssl")
            .args(words)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        "rsa.pem",
    ]);
    let modulus = String::from_utf8(openssl(&["rsa", "-in", "rsa.pem", "-noout", "-modulus"])).unwrap();
    let modulus = hex::decode(modulus.trim().trim_start_matches("Modulus=")).unwrap();
    let rsa = token(&json!({"alg": "RS256", "kid": "rsa"}), &claims, |message| {
        std::fs::write(at("message"), message).unwrap();
        openssl(&["dgst", "-sha256", "-sign", "rsa.pem", "message"])
    });
    let pss = token(&json!({"alg": "PS256", "kid": "rsa"}), &claims, |message| {
        std::fs::write(at("message"), message).unwrap();
        openssl(&[
            "dgst",
            "-sha256",
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            "rsa_pss_saltlen:32",
            "-sign",
            "rsa.pem",
            "message",
        ])
    });
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let curve = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
    let point = curve.public_key().as_ref().to_vec();
    let elliptic = token(&json!({"alg": "ES256"}), &claims, |message| {
        curve.sign(&random, message).unwrap().as_ref().to_vec()
    });
    let set = json!({"keys": [
        {"kty": "RSA", "kid": "rsa", "n": code(&modulus), "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": code(&point[1..33]), "y": code(&point[33..])},
        {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"},
        {"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"},
    ]});
    std::fs::write(at("keys.json"), set.to_string()).unwrap();
    let all = world(&format!("{{ file: {} }}", at("keys.json").display()));
    for good in [&rsa, &pss, &elliptic] {
        assert_eq!(trouble(&all, good, &[]).await, Value::None);
    }
    let only = world(&format!(
        "{{ file: {}, algorithms: [ES256] }}",
        at("keys.json").display()
    ));
    assert_eq!(trouble(&only, &elliptic, &[]).await, Value::None);
    assert_eq!(trouble(&only, &rsa, &[]).await, Value::variant("other_algorithm"));
    // A shared secret.
    let path = crate::support::daemon::secret(folder.path(), "shared", "a long enough secret of both");
    let shared = world(&format!("{{ secret: {{ file: {} }} }}", path.display()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"a long enough secret of both");
    let signed = token(&json!({"alg": "HS256"}), &claims, |message| {
        ring::hmac::sign(&key, message).as_ref().to_vec()
    });
    assert_eq!(trouble(&shared, &signed, &[]).await, Value::None);
    assert_eq!(trouble(&shared, &rsa, &[]).await, Value::variant("other_algorithm"));
}

#[tokio::test]
async fn what_a_token_says_is_told_and_the_token_is_not() {
    let signer = Signer::new();
    let world = world(&signer.config());
    let claims = json!({
        "iss": "https://id.test", "aud": "shop", "sub": "maria@example.org", "exp": now() + 600, "iat": now(), "roles": ["admin"],
        "scope": "read write", "name": "Maria",
    });
    let text = signer.token(&claims);
    let said = world.read("decode", &[secret(&text)]).await;
    assert_eq!(field(&said, "algorithm"), Value::text("EdDSA"));
    assert_eq!(items(&field(&said, "audiences")), [Value::text("shop")]);
    assert_eq!(
        items(&field(&said, "scopes")),
        [Value::text("read"), Value::text("write")]
    );
    assert_eq!(items(&field(&said, "roles")), [Value::text("admin")]);
    assert!(matches!(field(&said, "remaining"), Value::Duration(left) if left > 500_000_000_000));
    let shown = format!("{said:?}");
    assert!(
        shown.contains("\"sub\"") && !shown.contains("maria") && !shown.contains("Maria"),
        "{shown}"
    );
    assert!(text.split('.').all(|part| !shown.contains(part)), "{shown}");
    for garbage in [
        "",
        "swordfish",
        "a.b",
        "a.b.c.d",
        "!!.!!.!!",
        "e30.W10.e30",
        &"x".repeat(20_000),
    ] {
        let (why, detail) = reason(&world.read("decode", &[secret(garbage)]).await);
        assert_eq!(why, Reason::Unparsable);
        assert!(garbage.is_empty() || !detail.contains(garbage), "{detail}");
    }
    let odd = signer.token(&json!({"exp": "tomorrow"}));
    let said = world.read("decode", &[secret(&odd)]).await;
    assert_eq!(reason(&field(&said, "expires")).0, Reason::Unparsable);
    let (why, _) = reason(&world.read("verify", &[secret(&odd)]).await);
    assert_eq!(why, Reason::Unparsable);
}

#[tokio::test]
async fn key_sets_come_from_an_address_too_and_a_missing_one_is_unknown() {
    let signer = Signer::new();
    let set = std::fs::read_to_string(signer.folder.path().join("keys.json")).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                set.len()
            );
            let _ = stream.write_all(format!("{head}{set}").as_bytes()).await;
        }
    });
    let config = format!("{{ endpoint: {{ url: '{url}' }} }}");
    let good = signer.token(&json!({"exp": now() + 600}));
    assert_eq!(trouble(&world(&config), &good, &[]).await, Value::None);
    assert_eq!(jwt(&config).doctor().await[0].state, HealthState::Good);
    let missing = "{ file: /nonexistent/keys.json }";
    let (why, _) = reason(&world(missing).read("verify", &[secret(&good)]).await);
    assert_eq!(why, Reason::Unavailable);
    assert_eq!(jwt(missing).doctor().await[0].state, HealthState::Bad);
}
