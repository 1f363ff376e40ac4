// Measures ts-mls as the benchmarks of core/mls measure that, and prints the lines
// that Go's benchmarks print: BenchmarkTSMLS/<operation>/<suite>/<shape>/<members>.
// Group sizes are arguments, 2, 10 and 100 without; 1000 takes minutes.

import {
  createApplicationMessage, createCommit, createGroup, createGroupInfoWithExternalPubAndRatchetTree, defaultCapabilities,
  defaultLifetime, emptyPskIndex, generateKeyPackage, getCiphersuiteFromName, getCiphersuiteImpl, joinGroup,
  joinGroupExternal, processPrivateMessage,
} from "ts-mls"

const cs = await getCiphersuiteImpl(getCiphersuiteFromName("MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"))
const enoughTime = 1e9 // ns to measure an operation for
const enoughRounds = 3 // but of a slow one not more than these

const keyPackage = (name) =>
  generateKeyPackage(
    { credentialType: "basic", identity: new TextEncoder().encode(name) }, defaultCapabilities(), defaultLifetime, [], cs,
  )

const add = (kp) => ({ proposalType: "add", add: { keyPackage: kp.publicPackage } })
const commit = (state, extraProposals) => createCommit({ state, cipherSuite: cs }, { extraProposals, ratchetTreeExtension: true })

// flatGroup is a group of n, all but the first of whom were added by one commit.
async function flatGroup(n) {
  const founder = await keyPackage("founder")
  const others = []
  for (let i = 1; i < n; i++) others.push(await keyPackage(`member ${i}`))
  const empty = await createGroup(new TextEncoder().encode("a group"), founder.publicPackage, founder.privatePackage, [], cs)
  const { newState: alice, welcome } = await commit(empty, others.map(add))
  const join = () => joinGroup(welcome, others[0].publicPackage, others[0].privatePackage, emptyPskIndex, cs)
  return { alice, bob: await join(), join }
}

// operations gives what is measured. States of ts-mls do not change, so that an
// operation can be done again and again from the same one.
async function operations(n) {
  const { alice, bob, join } = await flatGroup(n)
  const update = await commit(alice, [])
  const text = new Uint8Array(1024)
  const message = await createApplicationMessage(alice, text, cs)
  const newcomer = await keyPackage("newcomer")
  const groupInfo = await createGroupInfoWithExternalPubAndRatchetTree(alice, [], cs)
  const open = (m) => processPrivateMessage(bob, m, emptyPskIndex, cs)
  return {
    "update-commit": () => commit(alice, []),
    "process-commit": () => open(update.commit.privateMessage),
    "add-commit": () => commit(alice, [add(newcomer)]),
    "remove-commit": () => commit(alice, [{ proposalType: "remove", remove: { removed: n - 1 } }]),
    join,
    "external-join": () => joinGroupExternal(groupInfo, newcomer.publicPackage, newcomer.privatePackage, false, cs),
    "seal-1KiB": () => createApplicationMessage(alice, text, cs),
    "open-1KiB": () => open(message.privateMessage),
  }
}

async function measure(operation) {
  const first = await timed(operation, 1) // warms up
  if (first > enoughTime) return { rounds: 1, ns: first }
  const rounds = Math.max(enoughRounds, Math.ceil(enoughTime / first))
  return { rounds, ns: (await timed(operation, rounds)) / rounds }
}

async function timed(operation, rounds) {
  const start = process.hrtime.bigint()
  for (let i = 0; i < rounds; i++) await operation()
  return Number(process.hrtime.bigint() - start)
}

const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [2, 10, 100]
if (!sizes.every((n) => Number.isInteger(n) && n >= 2)) {
  console.error("usage: node bench.mjs [MEMBERS...]")
  process.exit(2)
}
for (const n of sizes) {
  for (const [name, operation] of Object.entries(await operations(n))) {
    const { rounds, ns } = await measure(operation)
    console.log(`BenchmarkTSMLS/${name}/0x0001/flat/${n} ${rounds} ${Math.round(ns)} ns/op`)
  }
}
