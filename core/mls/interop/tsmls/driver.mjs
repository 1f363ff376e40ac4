// ts-mls behind the protocol of ../README.md: requests as lines of JSON on the
// standard input, an answer to each on the standard output.

import { createInterface } from "node:readline"
import { p256, p384, p521 } from "@noble/curves/nist.js"
import {
  acceptAll, bytesToBase64, ciphersuites, createApplicationMessage, createCommit, createGroup, createProposal, decodeGroupState,
  decodeMlsMessage, defaultCapabilities, defaultExtensionTypes, defaultKeyPackageEqualityConfig,
  defaultKeyRetentionConfig, defaultLifetime, defaultLifetimeConfig, defaultPaddingConfig, defaultAuthenticationService,
  encodeGroupState, encodeMlsMessage, generateKeyPackageWithKey, getCiphersuiteFromName, getCiphersuiteImpl, joinGroup,
  joinGroupExternal, makePskIndex, mlsExporter, processPrivateMessage, processPublicMessage,
} from "ts-mls"
import { encode } from "ts-mls/codec/tlsEncoder.js"
import { decodeVarLenData, varLenDataEncoder } from "ts-mls/codec/variableLength.js"
import { createGroupInfo } from "ts-mls/createCommit.js"
import { makeKeyPackageRef } from "ts-mls/keyPackage.js"
import { CodecError, CryptoVerificationError, UsageError, ValidationError } from "ts-mls/mlsError.js"
import { decodeRatchetTree, ratchetTreeEncoder } from "ts-mls/ratchetTree.js"
import { makeResumptionPsk } from "ts-mls/resumption.js"

// What the protocol lets an implementation lack, ts-mls lacks.
const features = []

const clientConfig = {
  keyRetentionConfig: defaultKeyRetentionConfig,
  lifetimeConfig: defaultLifetimeConfig,
  keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
  paddingConfig: defaultPaddingConfig,
  authService: defaultAuthenticationService,
}

class ProtocolError extends Error {
  constructor(name, message) {
    super(message)
    this.protocolName = name
  }
}

const badRequest = (message) => new ProtocolError("bad-request", message)
const unsupported = (message) => new ProtocolError("unsupported", message)

// Hex, strictly: Buffer.from would stop silently at what is none.
function bytes(text, what) {
  if (typeof text !== "string" || text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) throw badRequest(`${what} is not hex`)
  return new Uint8Array(Buffer.from(text, "hex"))
}
const optionalBytes = (text, what) => (text === undefined || text === null ? undefined : bytes(text, what))
const hex = (b) => Buffer.from(b).toString("hex")

const extensionNames = Object.fromEntries(Object.entries(defaultExtensionTypes).map(([name, id]) => [id, name]))
const toExtensions = (list) =>
  list.map((e) => ({ extensionType: extensionNames[e.type] ?? e.type, extensionData: bytes(e.data, "extension") }))
const fromExtensions = (list) =>
  list.map((e) => ({ type: defaultExtensionTypes[e.extensionType] ?? e.extensionType, data: hex(e.extensionData) }))

const suiteName = (id) => {
  const name = Object.keys(ciphersuites).find((n) => ciphersuites[n] === id)
  if (name === undefined) throw unsupported(`cipher suite ${id}`)
  return name
}

const toReinit = (r) => ({
  groupId: bytes(r.group_id, "group_id"),
  version: "mls10",
  cipherSuite: suiteName(r.suite),
  extensions: toExtensions(r.extensions ?? []),
})
const fromReinit = (r) =>
  r && { group_id: hex(r.groupId), suite: ciphersuites[r.cipherSuite], extensions: fromExtensions(r.extensions) }

const proposalTypes = { add: 1, update: 2, remove: 3, psk: 4, reinit: 5, external_init: 6, group_context_extensions: 7 }

const clients = new Map()
const groups = new Map()

function find(table, handle, what) {
  const found = table.get(handle)
  if (found === undefined) throw new ProtocolError("unknown-handle", `there is no ${what} ${handle}`)
  return found
}
const clientOf = (p) => find(clients, p.client, "client")
const groupOf = (p) => find(groups, p.group, "group")

function mayName(table, handle, what) {
  if (typeof handle !== "string" || handle === "") throw badRequest(`${what} is missing`)
  if (table.has(handle)) throw new ProtocolError("handle-taken", `there is a ${what} ${handle} already`)
}

function message(raw, ...wireformats) {
  const decoded = decodeMlsMessage(raw, 0)
  if (decoded === undefined || decoded[1] !== raw.length) throw new CodecError("not an MLSMessage")
  if (!wireformats.includes(decoded[0].wireformat)) throw unsupported(`a ${decoded[0].wireformat} is not wanted here`)
  return decoded[0]
}

function tree(raw) {
  if (raw === undefined) return undefined
  const decoded = decodeRatchetTree(raw, 0)
  if (decoded === undefined || decoded[1] !== raw.length) throw new CodecError("not a ratchet tree")
  return decoded[0]
}
const encodeTree = encode(ratchetTreeEncoder)

// pskIndex finds the client's external PSKs; ts-mls wants the ids in base64.
const pskIndex = (client, state) => makePskIndex(state, Object.fromEntries(client.psks))

const membersOf = (ratchetTree) =>
  ratchetTree.flatMap((node, i) =>
    node?.nodeType === "leaf"
      ? [{ index: i / 2, identity: hex(node.leaf.credential.identity ?? []), signature_key: hex(node.leaf.signaturePublicKey) }]
      : [],
  )

function stateOf(group) {
  const s = group.state
  const active = s.groupActiveState.kind !== "removedFromGroup"
  return {
    group_id: hex(s.groupContext.groupId),
    suite: ciphersuites[s.groupContext.cipherSuite],
    epoch: Number(s.groupContext.epoch),
    own: s.privatePath.leafIndex,
    active,
    epoch_authenticator: active ? hex(s.keySchedule.epochAuthenticator) : "",
    members: membersOf(s.ratchetTree),
    extensions: fromExtensions(s.groupContext.extensions),
    pending: group.pending !== undefined || group.staged !== undefined,
    reinit: fromReinit(s.groupActiveState.reinit),
  }
}

function admit(handle, client, state) {
  const group = { client, state }
  groups.set(handle, group)
  return stateOf(group)
}

// newSignatureKey goes around ts-mls' own keygen where that gives compressed points:
// RFC 9420 §5.1.1 has ECDSA keys uncompressed.
async function newSignatureKey(suite, cs) {
  const curve = { 2: p256, 5: p521, 7: p384 }[suite]
  if (curve === undefined) return cs.signature.keygen()
  const signKey = curve.utils.randomSecretKey()
  return { signKey, publicKey: curve.getPublicKey(signKey, false) }
}

async function freshKeyPackage(client) {
  const capabilities = defaultCapabilities()
  capabilities.extensions = [...new Set([...capabilities.extensions, ...client.extensions])]
  const credential = { credentialType: "basic", identity: client.identity }
  return generateKeyPackageWithKey(credential, capabilities, defaultLifetime, [], client.key, client.cs)
}

function proposalOf(p, group) {
  switch (p.type) {
    case "add":
      return { proposalType: "add", add: { keyPackage: message(bytes(p.key_package, "key_package"), "mls_key_package").keyPackage } }
    case "remove":
      return { proposalType: "remove", remove: { removed: p.leaf } }
    case "psk": {
      const preSharedKeyId = { psktype: "external", pskId: bytes(p.psk_id, "psk_id"), pskNonce: nonce(group.client) }
      return { proposalType: "psk", psk: { preSharedKeyId } }
    }
    case "resumption_psk": {
      const preSharedKeyId = {
        psktype: "resumption", usage: "application", pskGroupId: group.state.groupContext.groupId, pskEpoch: BigInt(p.epoch),
        pskNonce: nonce(group.client),
      }
      return { proposalType: "psk", psk: { preSharedKeyId } }
    }
    case "reinit":
      return { proposalType: "reinit", reinit: toReinit(p.reinit) }
    case "group_context_extensions":
      return { proposalType: "group_context_extensions", groupContextExtensions: { extensions: toExtensions(p.extensions) } }
    default:
      throw unsupported(`ts-mls proposes no ${p.type}`)
  }
}

const nonce = (client) => client.cs.rng.randomBytes(client.cs.kdf.size)

// describe tells what is known of a commit from outside of ts-mls.
const describe = (state, next, committer, proposals, aad) => ({
  epoch: Number(state.groupContext.epoch),
  committer,
  aad: hex(aad),
  proposals: proposals.map((p) => ({
    type: proposalTypes[p.proposal.proposalType] ?? p.proposal.proposalType,
    sender: p.senderLeafIndex ?? committer,
    target: p.proposal.remove?.removed ?? p.senderLeafIndex ?? committer,
  })),
  removes_self: next.groupActiveState.kind === "removedFromGroup",
  epoch_authenticator: next.groupActiveState.kind === "removedFromGroup" ? "" : hex(next.keySchedule.epochAuthenticator),
})

async function processAny(group, raw, applicationOnly) {
  const m = message(raw, "mls_private_message", "mls_public_message")
  const content = m.wireformat === "mls_private_message" ? m.privateMessage : m.publicMessage.content
  if (applicationOnly && content.contentType !== "application") throw unsupported("not an application message")
  if (hex(content.groupId) !== hex(group.state.groupContext.groupId)) throw new ProtocolError("wrong-group", "another group's message")
  const psks = pskIndex(group.client, group.state)
  let seen
  const callback = (incoming) => {
    seen = incoming
    return acceptAll(incoming)
  }
  const result =
    m.wireformat === "mls_private_message"
      ? await processPrivateMessage(group.state, m.privateMessage, psks, group.client.cs, callback)
      : await processPublicMessage(group.state, m.publicMessage, psks, group.client.cs, callback)
  if (result.kind === "applicationMessage") {
    group.state = result.newState
    return {
      kind: "application",
      application: { epoch: Number(content.epoch), data: hex(result.message), aad: hex(content.authenticatedData) },
    }
  }
  if (seen.kind === "proposal") {
    group.state = result.newState
    const { proposal, senderLeafIndex: sender } = seen.proposal
    const type = proposalTypes[proposal.proposalType] ?? proposal.proposalType
    return { kind: "proposal", proposal: { type, sender, target: proposal.remove?.removed ?? sender } }
  }
  group.staged = result.newState
  const commit = describe(group.state, result.newState, seen.senderLeafIndex, seen.proposals, content.authenticatedData)
  return { kind: "commit", commit }
}

// unwrapExternalPub makes a list of extensions give the bare key to who looks for the
// external_pub, as ts-mls does. The list itself, which the signature covers, has it
// as RFC 9420 §12.4.3.2 says, with its length before it.
function unwrapExternalPub(extensions) {
  extensions.find = (predicate) => {
    const found = Array.prototype.find.call(extensions, predicate)
    if (found?.extensionType !== "external_pub") return found
    const key = decodeVarLenData(found.extensionData, 0)
    if (key === undefined || key[1] !== found.extensionData.length) throw new CodecError("external_pub")
    return { ...found, extensionData: key[0] }
  }
}

const commands = {
  hello() {
    return { protocol: 1, implementation: "ts-mls", suites: [1, 2, 3, 4, 5, 6, 7], features }
  },

  async client(p) {
    mayName(clients, p.client, "client")
    const cs = await getCiphersuiteImpl(getCiphersuiteFromName(suiteName(p.suite)))
    if (p.signature_private_key !== undefined) throw unsupported("ts-mls does not give the public key of a private one")
    const key = await newSignatureKey(p.suite, cs)
    const identity = optionalBytes(p.identity, "identity") ?? new TextEncoder().encode(p.client)
    const handshakes = p.handshakes ?? "private"
    if (!["private", "mixed", "public"].includes(handshakes)) throw badRequest(`handshakes are private, mixed or public, not ${handshakes}`)
    const publicHandshakes = handshakes === "public"
    const extensions = p.extensions ?? []
    clients.set(p.client, { cs, key, identity, publicHandshakes, extensions, keyPackages: [], psks: new Map() })
    return { signature_private_key: hex(key.signKey) }
  },

  psk(p) {
    clientOf(p).psks.set(bytesToBase64(bytes(p.psk_id, "psk_id")), bytes(p.secret, "secret"))
    return {}
  },

  async keypackage(p) {
    const client = clientOf(p)
    if (p.last_resort) throw unsupported("last-resort KeyPackages")
    const made = await freshKeyPackage(client)
    const ref = hex(await makeKeyPackageRef(made.publicPackage, client.cs.hash))
    client.keyPackages.push({ ...made, ref })
    const raw = encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage: made.publicPackage })
    return { key_package: hex(raw), ref }
  },

  async create(p) {
    const client = clientOf(p)
    mayName(groups, p.group, "group")
    const { publicPackage, privatePackage } = await freshKeyPackage(client)
    const extensions = toExtensions(p.extensions ?? [])
    const id = bytes(p.group_id, "group_id")
    return admit(p.group, client, await createGroup(id, publicPackage, privatePackage, extensions, client.cs, clientConfig))
  },

  async join(p) {
    const client = clientOf(p)
    mayName(groups, p.group, "group")
    const { welcome } = message(bytes(p.welcome, "welcome"), "mls_welcome")
    const refs = welcome.secrets.map((s) => hex(s.newMember))
    const at = client.keyPackages.findIndex((k) => refs.includes(k.ref))
    if (at < 0) throw new ProtocolError("no-key-package", "the Welcome is for another KeyPackage")
    const { publicPackage, privatePackage } = client.keyPackages[at]
    const given = tree(optionalBytes(p.tree, "tree"))
    const from = p.from ? find(groups, p.from, "group").state : undefined
    const psks = pskIndex(client, from)
    const state = await joinGroup(welcome, publicPackage, privatePackage, psks, client.cs, given, from, clientConfig)
    client.keyPackages.splice(at, 1)
    return admit(p.group, client, state)
  },

  async propose(p) {
    const group = groupOf(p)
    const proposal = proposalOf(p, group)
    const made = await createProposal(group.state, group.client.publicHandshakes, proposal, group.client.cs)
    group.state = made.newState
    return { message: hex(encodeMlsMessage(made.message)) }
  },

  async commit(p) {
    const group = groupOf(p)
    if (group.pending !== undefined) throw new ProtocolError("pending", "a commit is pending")
    const extraProposals = [
      ...(p.adds ?? []).map((key_package) => ({ type: "add", key_package })),
      ...(p.removes ?? []).map((leaf) => ({ type: "remove", leaf })),
      ...(p.psks ?? []).map((psk_id) => ({ type: "psk", psk_id })),
      ...(p.resumption_psks ?? []).map((epoch) => ({ type: "resumption_psk", epoch })),
      ...(p.extensions ? [{ type: "group_context_extensions", extensions: p.extensions }] : []),
      ...(p.reinit ? [{ type: "reinit", reinit: p.reinit }] : []),
    ].map((asked) => proposalOf(asked, group))
    const authenticatedData = optionalBytes(p.aad, "aad") ?? new Uint8Array()
    const made = await createCommit(
      { state: group.state, pskIndex: pskIndex(group.client, group.state), cipherSuite: group.client.cs },
      {
        extraProposals,
        ratchetTreeExtension: !p.omit_tree,
        authenticatedData,
        wireAsPublicMessage: group.client.publicHandshakes,
      },
    )
    group.pending = made.newState
    const result = { message: hex(encodeMlsMessage(made.commit)) }
    if (made.welcome !== undefined) {
      result.welcome = hex(encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome: made.welcome }))
      if (p.omit_tree) result.tree = hex(encodeTree(made.newState.ratchetTree))
    }
    const own = group.state.privatePath.leafIndex
    const proposals = [
      ...Object.values(group.state.unappliedProposals),
      ...extraProposals.map((proposal) => ({ proposal, senderLeafIndex: own })),
    ]
    result.commit = describe(group.state, made.newState, own, proposals, authenticatedData)
    return result
  },

  // ts-mls' own functions for this put no tree into the Welcome.
  async successor(p) {
    const client = clientOf(p)
    const from = find(groups, p.from, "group").state
    mayName(groups, p.group, "group")
    const { publicPackage, privatePackage } = await freshKeyPackage(client)
    const branch = p.group_id !== undefined
    const next = branch
      ? { groupId: bytes(p.group_id, "group_id"), extensions: toExtensions(p.extensions ?? []) }
      : from.groupActiveState.reinit
    if (next === undefined) throw new ProtocolError("usage", "the group has not been re-initialised")
    const link = makeResumptionPsk(from, branch ? "branch" : "reinit", client.cs)
    const extraProposals = [
      ...p.key_packages.map((key_package) => proposalOf({ type: "add", key_package })),
      { proposalType: "psk", psk: { preSharedKeyId: link.id } },
    ]
    const state = await createGroup(next.groupId, publicPackage, privatePackage, next.extensions, client.cs, clientConfig)
    const context = { state, pskIndex: makePskIndex(from, {}), cipherSuite: client.cs }
    const made = await createCommit(context, { extraProposals, ratchetTreeExtension: true })
    admit(p.group, client, state)
    groups.get(p.group).pending = made.newState
    return {
      message: hex(encodeMlsMessage(made.commit)),
      welcome: hex(encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome: made.welcome })),
    }
  },

  async process(p) {
    if (p.reject) throw unsupported("rejecting a proposal: ts-mls would not follow a commit of it either")
    return processAny(groupOf(p), bytes(p.message, "message"), false)
  },

  merge(p) {
    const group = groupOf(p)
    const next = group.staged ?? group.pending
    if (next === undefined) throw new ProtocolError("no-pending", "no pending commit")
    group.state = next
    group.staged = group.pending = undefined
    return stateOf(group)
  },

  discard(p) {
    const group = groupOf(p)
    if (group.staged !== undefined) group.staged = undefined
    else if (group.pending !== undefined) group.pending = undefined
    else throw new ProtocolError("no-pending", "no pending commit")
    return stateOf(group)
  },

  async seal(p) {
    const group = groupOf(p)
    const aad = optionalBytes(p.aad, "aad")
    const made = await createApplicationMessage(group.state, bytes(p.data, "data"), group.client.cs, aad)
    group.state = made.newState
    const wrapped = { version: "mls10", wireformat: "mls_private_message", privateMessage: made.privateMessage }
    return { message: hex(encodeMlsMessage(wrapped)) }
  },

  async open(p) {
    return (await processAny(groupOf(p), bytes(p.message, "message"), true)).application
  },

  async export(p) {
    const { state, client } = groupOf(p)
    const context = optionalBytes(p.context, "context") ?? new Uint8Array()
    return { secret: hex(await mlsExporter(state.keySchedule.exporterSecret, p.label, context, p.length, client.cs)) }
  },

  async groupinfo(p) {
    const { state, client } = groupOf(p)
    const { publicKey } = await client.cs.hpke.deriveKeyPair(state.keySchedule.externalSecret)
    const externalPub = encode(varLenDataEncoder)(await client.cs.hpke.exportPublicKey(publicKey))
    const extensions = [{ extensionType: "external_pub", extensionData: externalPub }]
    if (!p.omit_tree) extensions.push({ extensionType: "ratchet_tree", extensionData: encodeTree(state.ratchetTree) })
    const groupInfo = await createGroupInfo(state.groupContext, state.confirmationTag, state, extensions, client.cs)
    const result = { group_info: hex(encodeMlsMessage({ version: "mls10", wireformat: "mls_group_info", groupInfo })) }
    if (p.omit_tree) result.tree = hex(encodeTree(state.ratchetTree))
    return result
  },

  // Which leaf is replaced ts-mls finds out itself, by the signature key.
  async "external-join"(p) {
    const client = clientOf(p)
    mayName(groups, p.group, "group")
    if (p.psks?.length) throw unsupported("PSKs in an external commit")
    const { groupInfo } = message(bytes(p.group_info, "group_info"), "mls_group_info")
    const given = tree(optionalBytes(p.tree, "tree"))
    unwrapExternalPub(groupInfo.extensions)
    const resync = p.replace !== undefined && p.replace !== null
    const { publicPackage, privatePackage } = await freshKeyPackage(client)
    const aad = optionalBytes(p.aad, "aad")
    const made = await joinGroupExternal(groupInfo, publicPackage, privatePackage, resync, client.cs, given, clientConfig, aad)
    const wrapped = { version: "mls10", wireformat: "mls_public_message", publicMessage: made.publicMessage }
    return { message: hex(encodeMlsMessage(wrapped)), state: admit(p.group, client, made.newState) }
  },

  info(p) {
    return stateOf(groupOf(p))
  },

  save(p) {
    return { records: [[hex(new TextEncoder().encode("state")), hex(encodeGroupState(groupOf(p).state))]] }
  },

  restore(p) {
    const client = clientOf(p)
    mayName(groups, p.group, "group")
    const raw = bytes(p.records?.[0]?.[1], "record")
    const decoded = decodeGroupState(raw, 0)
    if (decoded === undefined || decoded[1] !== raw.length) throw new ProtocolError("corrupt-state", "not a group's state")
    return admit(p.group, client, { ...decoded[0], clientConfig })
  },

  drop(p) {
    if ((p.group === undefined) === (p.client === undefined)) throw badRequest("drop takes either a group or a client")
    if (p.group !== undefined) groupOf(p) && groups.delete(p.group)
    else clientOf(p) && clients.delete(p.client)
    return {}
  },
}

function nameOf(error) {
  if (error instanceof ProtocolError) return error.protocolName
  if (error instanceof ValidationError) return "invalid"
  if (error instanceof CodecError) return "malformed"
  if (error instanceof CryptoVerificationError) return "invalid-signature"
  if (error instanceof UsageError) return "usage"
  return "other"
}

async function answer(line) {
  let request
  try {
    request = JSON.parse(line)
  } catch (error) {
    return { id: null, error: { name: "bad-request", message: String(error.message) } }
  }
  const id = request?.id ?? null
  try {
    if (typeof request !== "object" || request === null || Array.isArray(request)) throw badRequest("not an object")
    if (!Object.hasOwn(commands, request.cmd)) throw new ProtocolError("unknown-command", `there is no command ${request.cmd}`)
    return { id, result: await commands[request.cmd](request) }
  } catch (error) {
    return { id, error: { name: nameOf(error), message: String(error?.message ?? error) } }
  }
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line.trim() !== "") process.stdout.write(JSON.stringify(await answer(line)) + "\n")
}
