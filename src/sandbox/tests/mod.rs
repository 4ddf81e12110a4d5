//! The sandbox through a real client, over TCP.

mod attached;
mod contacts;
mod faults;
mod lists;
mod merges;
mod objects;
mod requests;
mod schemas;
mod storage;
mod updates;

use super::*;
use serde_json::{Value, json};

/// A small organisation: four users, three groups and a default one, issues 1 to 12 by turns of DEVU-1, DEVU-2 and REVU-3.
fn data() -> Value {
    let creators = ["DEVU-1", "DEVU-2", "REVU-3"];
    let issues: Vec<Value> = (1..=12)
        .map(|number: usize| {
            json!({
                "number": number,
                "title": format!("Issue \"{number}\", naïve"),
                "created_by": creators[(number - 1) % 3],
                "owned_by": if number.is_multiple_of(2) { vec!["DEVU-2"] } else { vec![] },
            })
        })
        .collect();
    json!({
        "organisation": {"id": "TEST", "name": "Test"},
        "self": "DEVU-1",
        "users": [
            {"number": 1, "name": "Ana Sousa", "email": "ana@example.com"},
            {"number": 2, "name": "Bo Åkesson", "email": "bo@example.com", "state": "deactivated"},
            {"number": 3, "name": "Chi Nguyễn", "email": "chi@example.com", "kind": "rev_user"},
            {"number": 4, "name": "Bridge", "kind": "service_account"},
        ],
        "groups": [
            {"number": 1, "name": "Web", "member_type": "dev_user", "members": ["DEVU-1", "GROUP-2"]},
            {"number": 2, "name": "Mobile", "member_type": "dev_user", "members": ["DEVU-2", "DEVU-1"]},
            {"number": 3, "name": "Friends", "member_type": "rev_user", "members": ["REVU-3"]},
            {
                "number": 4, "name": "All Users", "member_type": "dev_user", "is_default": true,
                "group_type": "dynamic", "members": ["DEVU-1", "DEVU-2", "SVCACC-4"],
            },
        ],
        "custom_fields": {
            "tnt__creator_group": {"type": "id", "allowed": ["group"]},
            "tnt__cause": {"type": "text"},
        },
        "issues": issues,
    })
}

fn options(data: &Value) -> Options {
    Options::new(Data::from_json(data.to_string().as_bytes()).unwrap())
}

/// A sandbox and a client of it.
struct Rig {
    sandbox: Sandbox,
    client: reqwest::Client,
}

/// A body: JSON, or text that should be.
struct Text(String);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&Value> for Text {
    fn from(value: &Value) -> Self {
        Self(value.to_string())
    }
}

impl From<Value> for Text {
    fn from(value: Value) -> Self {
        Self(value.to_string())
    }
}

/// What came back.
struct Got {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default()
    }
}

async fn rig(options: Options) -> Rig {
    let sandbox = Sandbox::start(options).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    Rig { sandbox, client: client.build().unwrap() }
}

async fn plain() -> Rig {
    rig(options(&data())).await
}

async fn with_fault(rule: &str) -> Rig {
    rig(Options { faults: vec![rule.parse().unwrap()], ..options(&data()) }).await
}

impl Rig {
    fn post(&self, path: &str, body: impl Into<Text>) -> reqwest::RequestBuilder {
        let url = format!("{}/{path}", self.sandbox.base_url());
        self.client.post(url).header("content-type", "application/json").body(body.into().0)
    }

    async fn raw(&self, request: reqwest::RequestBuilder) -> Got {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        Got { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    async fn call(&self, path: &str, body: impl Into<Text>) -> Got {
        self.raw(self.post(path, body).bearer_auth("secret")).await
    }

    /// A call that must succeed.
    async fn good(&self, path: &str, body: impl Into<Text>) -> Value {
        let got = self.call(path, body).await;
        assert_eq!(got.status, 200, "{path}: {}", got.body);
        got.body
    }

    async fn text(&self, path: &str) -> String {
        let url = format!("{}/_sandbox/{path}", self.sandbox.base_url());
        self.client.get(url).send().await.unwrap().text().await.unwrap()
    }

    async fn stats(&self) -> Value {
        serde_json::from_str(&self.text("stats").await).unwrap()
    }
}

/// A request that sets an issue's creator group.
fn set_group(issue: &str, group: impl Into<Value>) -> Value {
    json!({
        "id": issue,
        "type": "issue",
        "custom_fields": {"tnt__creator_group": group.into()},
        "custom_schema_spec": {"tenant_fragment": true},
    })
}

fn ids(works: &Value) -> Vec<&str> {
    works["works"].as_array().unwrap().iter().map(|work| work["display_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_demonstration_data_is_served() {
    let mut options = options(&data());
    options.data = Data::demo();
    let rig = rig(options).await;
    let own = rig.good("dev-users.self", "{}").await;
    assert_eq!(own["dev_user"]["display_id"], "DEVU-1");
    let works = rig.good("works.list", json!({"limit": 100})).await;
    assert_eq!(ids(&works).len(), 100);
    let size = works.to_string().len() / 100;
    assert!((700..1_300).contains(&size), "an issue takes {size} bytes");
    assert_eq!(rig.text("issues").await.lines().count(), 300);
}

/// `test_data/contacts.csv` belongs to the demonstration data: every row is about a contact, and says how many
/// tickets it has, but for those that are wrong on purpose.
#[tokio::test]
async fn the_demonstration_contacts_are_as_their_csv_says() {
    let rig = rig(Options::new(Data::demo())).await;
    let mut tickets = std::collections::BTreeMap::<String, u32>::new();
    for work in rig.text("works").await.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let lists = [&json!([work["created_by"]]), &work["owned_by"], &work["reported_by"]].map(Value::clone);
        let mut users: Vec<_> = lists
            .iter()
            .flat_map(|list| list.as_array().unwrap())
            .map(|user| user.as_str().unwrap())
            .collect();
        users.sort_unstable();
        users.dedup();
        for user in users.into_iter().filter(|_| work["type"] == "ticket") {
            *tickets.entry(user.to_owned()).or_default() += 1;
        }
    }
    let mut reader = csv::Reader::from_reader(&include_bytes!("../../../test_data/contacts.csv")[..]);
    let (mut rows, mut odd) = (0, Vec::new());
    for row in reader.records().map(Result::unwrap) {
        rows += 1;
        let id = format!("REVU-{}", row[0].rsplit(['/', '-']).next().unwrap());
        let got = rig.call("rev-users.get", json!({"id": &row[0]})).await;
        let user = &got.body["rev_user"];
        let known = got.status == 200
            && user["external_ref"] == row[3]
            && user["email"].as_str() == Some(&row[2].trim().to_lowercase());
        let count = tickets.get(&id).copied().unwrap_or_default();
        if !known || count.to_string() != row[7] {
            odd.push(id);
        }
    }
    odd.sort();
    // A wrong count, another external_ref, and one that is gone.
    assert_eq!((rows, odd), (52, ["REVU-46", "REVU-52", "REVU-54"].map(str::to_owned).to_vec()));
    assert_eq!(tickets["REVU-19"], 130);
}

#[tokio::test]
async fn a_stopped_sandbox_leaves_its_port_and_ends_what_hangs() {
    let rig = with_fault("hang").await;
    let request = rig.post("works.get", json!({"id": "ISS-1"})).bearer_auth("secret");
    let waiting = tokio::spawn(request.send());
    while rig.stats().await["total"] == 0 {
        tokio::task::yield_now().await;
    }
    let addr = rig.sandbox.addr();
    rig.sandbox.stop().await;
    assert!(waiting.await.unwrap().is_err());
    let again = Options { listen: addr, ..options(&data()) };
    let taken = Options { listen: addr, ..options(&data()) };
    let second = Sandbox::start(again).await.unwrap();
    assert_eq!(second.addr(), addr);
    let error = Sandbox::start(taken).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {addr}: ")), "{error}");
    drop(second);
}
