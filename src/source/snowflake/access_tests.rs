//! Keys, and the token that a key signs.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::signature::Verifier;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[test]
fn keys_that_cannot_be_used_are_answered_with_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.p8");
    for (text, said) in [
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nx", "openssl pkcs8 -in "),
        ("-----BEGIN RSA PRIVATE KEY-----\nx", "openssl pkcs8 -topk8 -nocrypt -in "),
        ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", "is encrypted"),
        ("-----BEGIN PUBLIC KEY-----\ns3cr3t", "is the public key"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = private_key(&path).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("s3cr3t"), "{error}");
    }
    std::fs::write(&path, "-----BEGIN PRIVATE KEY-----\ns3cr3t").unwrap();
    let key = private_key(&path).unwrap();
    assert!(!format!("{key:?}").contains("s3cr3t"));
    assert!(private_key(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
}

/// Answers one request with a refusal, and returns its first line and its body.
async fn refuse_one(listener: TcpListener) -> (String, Value) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part).await.unwrap();
        text.extend_from_slice(&part[..read]);
        let request = String::from_utf8_lossy(&text).into_owned();
        let body = request.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
        if let Some(body) = body {
            let answer =
                r#"{"success": false, "code": "390144", "message": "JWT token is invalid.", "data": null}"#;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            return (request.lines().next().unwrap().to_owned(), body);
        }
    }
}

#[tokio::test]
async fn a_key_signs_a_token_for_the_account_without_its_region() {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.p8");
    std::fs::write(&path, key.to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let text = |text: &str| text.to_owned();
    let access = Access {
        account: text("xy12345.eu-central-1"),
        user: text("loader"),
        warehouse: text("wh"),
        database: text("db"),
        schema: text("public"),
        role: Some(text("reader")),
        login: Login::KeyPair(path),
        host: Some(host),
        retry: RetryPolicy { max_retries: 0, base: Duration::ZERO },
    };
    let session = access.session(&Terms::default(), &Stop::default()).unwrap();
    let (asked, (line, login)) = tokio::join!(session.api.exec_raw("SELECT 1"), refuse_one(listener));
    assert!(asked.is_err());
    let failed = session.wire.take().failed.unwrap();
    assert!(matches!(&failed, SnowflakeError::Login { code, .. } if code == "390144"), "{failed}");

    assert!(line.starts_with("POST /session/v1/login-request?"), "{line}");
    for part in ["warehouse=WH", "databaseName=DB", "schemaName=PUBLIC", "roleName=READER"] {
        assert!(line.contains(part), "{line}");
    }
    let data = &login["data"];
    assert_eq!((&data["ACCOUNT_NAME"], &data["LOGIN_NAME"]), (&"XY12345".into(), &"LOADER".into()));
    assert_eq!(data["AUTHENTICATOR"], "SNOWFLAKE_JWT");
    assert_eq!(data["SESSION_PARAMETERS"]["CLIENT_RESULT_CHUNK_SIZE"], "16");

    let parts: Vec<&str> = data["TOKEN"].as_str().unwrap().split('.').collect();
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decoded(parts[0])).unwrap();
    let claims: Value = serde_json::from_slice(&decoded(parts[1])).unwrap();
    let public = key.to_public_key();
    let fingerprint = STANDARD.encode(Sha256::digest(public.to_public_key_der().unwrap().as_bytes()));
    assert_eq!(header["alg"], "RS256");
    assert_eq!(claims["sub"], "XY12345.LOADER");
    assert_eq!(claims["iss"], format!("XY12345.LOADER.SHA256:{fingerprint}"));
    assert!(claims["exp"].as_i64().unwrap() > claims["iat"].as_i64().unwrap());
    let verifier = rsa::pkcs1v15::VerifyingKey::<rsa::sha2::Sha256>::new(public);
    let signature = rsa::pkcs1v15::Signature::try_from(decoded(parts[2]).as_slice()).unwrap();
    verifier.verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature).unwrap();
}

#[test]
fn keys_that_cannot_be_used_are_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.p8");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        private_key(&path).map(|_| ()).map_err(|error| error.to_string())
    };
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 512).unwrap();
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    assert_eq!(read(&format!("\u{feff}{pem}")), Ok(()));
    for (text, says) in [
        (pem.replace('\n', " "), "the key is on one line: put back the line breaks"),
        (pem.replace('\n', "\\n"), "the key is on one line"),
        (
            "-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----\n".to_owned(),
            "is an elliptic-curve key",
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqG\n-----END PRIVATE KEY-----\n"
                .to_owned(),
            "openssl genrsa 2048",
        ),
        ("-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n".to_owned(), "is the public key"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.contains("SNOWFLAKE_PRIVATE_KEY_PATH") && error.contains("key.p8"), "{error}");
        assert!(error.contains(says), "{error}");
    }
}
