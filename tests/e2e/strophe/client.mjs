// SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client made with another XMPP library: logs in with SCRAM-SHA-256 only, finds its machine in its roster, asks it for info,
// starts it, shuts it down, and hears of both by push.
//
//   node client.mjs WEBSOCKET-URL JID PUBSUB-SERVICE < password
//
// Prints one JSON object for each thing that happened; ends with 0 when all did.
import { readFileSync } from "node:fs";
import { $iq, $pres, Strophe } from "strophe.js";

const [url, jid, service] = process.argv.slice(2);
const password = readFileSync(0, "utf8").trim();
const DEADLINE = 30_000;
const CONTROL = "archipel:vm:control";
const PUBSUB = "http://jabber.org/protocol/pubsub";

const connection = new Strophe.Connection(url, { protocol: "wss", mechanisms: [Strophe.SASLSHA256] });
const tell = (what, detail = {}) => process.stdout.write(`${JSON.stringify({ what, ...detail })}\n`);
const fail = (why) => {
  tell("failed", { why: String(why) });
  process.exit(1);
};
const ask = (iq) => new Promise((resolve, reject) => connection.sendIQ(iq, resolve, (error) => reject(Strophe.serialize(error)), DEADLINE));
const command = (to, action, type = "set") => ask($iq({ to, type }).c("query", { xmlns: CONTROL }).c("archipel", { action }));
const first = (element, name) => element.getElementsByTagName(name)[0];

let heard = () => {};
const push = (change) => new Promise((resolve) => (heard = (found) => found === change && resolve()));

function takeMessage(message) {
  const found = first(message, "push");
  if (found) {
    tell("push", { namespace: found.getAttribute("xmlns"), change: found.getAttribute("change") });
    heard(found.getAttribute("change"));
  }
  return true;
}

async function readRoster() {
  const answer = await ask($iq({ type: "get" }).c("query", { xmlns: "jabber:iq:roster" }));
  const contacts = [...answer.getElementsByTagName("item")].map((item) => item.getAttribute("jid"));
  tell("roster", { contacts });
  return contacts;
}

async function readVcard(bare) {
  const card = await ask($iq({ to: bare, type: "get" }).c("vCard", { xmlns: "vcard-temp" }));
  tell("vcard", { role: first(card, "ROLE").textContent, name: first(card, "FN").textContent });
}

async function useMachine(full) {
  const bare = Strophe.getBareJidFromJid(full);
  await readVcard(bare);
  const node = `/archipel/${bare}/events`;
  await ask($iq({ to: service, type: "set" }).c("pubsub", { xmlns: PUBSUB }).c("subscribe", { node, jid: Strophe.getBareJidFromJid(jid) }));
  const info = first(await command(full, "info", "get"), "info");
  tell("info", { state: info.getAttribute("state"), hypervisor: info.getAttribute("hypervisor") });
  for (const [action, change] of [["create", "created"], ["shutdown", "shutdown"]]) {
    const announced = push(change);
    await command(full, action);
    tell("done", { action });
    await announced;
  }
  const refused = await command(full, "destroy").catch((error) => error);
  tell("refused", { permission: String(refused).includes("archipel-error-permission") });
}

async function meet() {
  const machines = new Set(await readRoster());
  let known = false;
  const met = new Promise((resolve) => {
    connection.addHandler((presence) => {
      const from = presence.getAttribute("from");
      const kind = presence.getAttribute("type");
      if (kind === "subscribe") connection.send($pres({ to: from, type: "subscribed" }));
      if (!kind && !known && machines.has(Strophe.getBareJidFromJid(from))) {
        tell("presence", { from, status: first(presence, "status")?.textContent ?? "" });
        known = true;
        resolve(from);
      }
      return true;
    }, null, "presence");
  });
  connection.addHandler(takeMessage, null, "message", "headline");
  connection.send($pres());
  await useMachine(await met);
}

connection.connect(jid, password, (status, condition) => {
  if (status === Strophe.Status.CONNECTED) {
    tell("connected");
    meet().then(() => process.exit(0), fail);
  } else if (status === Strophe.Status.AUTHFAIL || status === Strophe.Status.CONNFAIL) {
    fail(condition);
  }
});
setTimeout(() => fail("it took too long"), DEADLINE);
