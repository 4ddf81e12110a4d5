// Drives a DevRev with the official client, and prints what it answered as one JSON object.
// Usage: node drive.mjs BASE_URL TOKEN
import sdk from "@devrev/typescript-sdk";

const [endpoint, token] = process.argv.slice(2);
const { betaSDK, client } = sdk;
const plain = client.setupBeta({ endpoint, token });
const bearer = client.setupBeta({ endpoint, token: `Bearer ${token}` });
const stable = client.setup({ endpoint, token });

// The status and what the API says of an error; the body of an answer.
async function ask(call) {
  try {
    const { status, data } = await call();
    return { status, ...data };
  } catch (error) {
    if (!error.response) throw error;
    return { status: error.response.status, ...error.response.data };
  }
}

// All items of a list, page by page, and how many pages there were.
async function all(list, name, query) {
  const items = [];
  let cursor;
  for (let pages = 1; ; pages += 1) {
    const answer = await ask(() => list({ ...query, ...(cursor && { cursor }) }));
    if (answer.status !== 200) return answer;
    items.push(...answer[name]);
    cursor = answer.next_cursor;
    if (!cursor) return { items, pages };
  }
}

const out = {};
out.self = await ask(() => plain.devUsersSelf());
out.selfByBearer = await ask(() => bearer.devUsersSelfPost({}));
out.wrongToken = await ask(() => client.setupBeta({ endpoint, token: "" }).devUsersSelf());
out.token = await ask(() => plain.authTokensInfo());

const issues = { type: [betaSDK.WorkType.Issue], limit: 4 };
out.byPost = await all((query) => plain.worksListPost(query), "works", issues);
out.byGet = await all((query) => plain.worksList(query), "works", issues);
out.stable = await all((query) => stable.worksList(query), "works", issues);
out.filtered = await ask(() =>
  plain.worksListPost({
    type: [betaSDK.WorkType.Issue],
    mode: betaSDK.ListMode.After,
    sort_by: ["created_date:asc"],
    created_by: [out.byPost.items[0].created_by.id],
    limit: 100,
  }),
);
out.staged = await ask(() => plain.worksListPost({ stage: { name: ["no-such-stage"] }, tags: [] }));
out.stagedByGet = await ask(() => plain.worksList({ "stage.name": ["no-such-stage"] }));
out.wrongMember = await ask(() => plain.worksListPost({ colour: "red" }));
out.wrongType = await ask(() => plain.worksListPost({ limit: "many" }));

const [issue] = out.byPost.items;
out.get = await ask(() => plain.worksGet({ id: issue.display_id }));
out.missing = await ask(() => plain.worksGet({ id: "ISS-99999" }));
out.update = await ask(() =>
  plain.worksUpdate({ id: issue.id, type: betaSDK.WorkType.Issue, title: "By the official client", tags: { add: [] } }),
);
out.updated = await ask(() => plain.worksGetPost({ id: issue.id }));

out.groups = await all((query) => plain.groupsList(query), "groups", {
  group_type: [betaSDK.GroupType.Static],
  member_type: [betaSDK.GroupMemberType.DevUser],
  is_default: false,
  limit: 1,
});
out.members = await all((query) => plain.groupMembersList(query), "members", { group: out.groups.items[0].id, limit: 2 });
out.schema = await ask(() =>
  plain.aggregatedSchemaGetPost({ leaf_type: "issue", is_custom_leaf_type: false }),
);

out.created = await ask(() =>
  plain.revUsersCreate({ display_name: "Ada", email: "ada@example.com", external_ref: "ada-1" }),
);
out.second = await ask(() => plain.revUsersCreate({ display_name: "Ada L.", email: "ada@example.com", external_ref: "ada-2" }));
out.taken = await ask(() => plain.revUsersCreate({ display_name: "Ada", external_ref: "ada-1" }));
out.renamed = await ask(() => plain.revUsersUpdate({ id: out.created.rev_user.id, display_name: "Ada Lovelace" }));
out.found = await ask(() => plain.revUsersList({ email: ["ada@example.com"], limit: 10 }));
out.merged = await ask(() =>
  plain.revUsersMerge({ primary_user: out.created.rev_user.id, secondary_user: out.second.rev_user.id }),
);
out.contact = await ask(() => plain.revUsersGet({ id: out.created.rev_user.id }));
out.timeline = await ask(() => plain.timelineEntriesListPost({ object: issue.id, panels: ["discussions"], limit: 10 }));
console.log(JSON.stringify(out));
