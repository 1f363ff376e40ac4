// Package mls is Messaging Layer Security, RFC 9420: groups whose members agree
// on fresh keys with every change, so that what is said can be read by those who
// are members then and by nobody else, not even later with all keys of today.
//
// It has every suite of the RFC and five that also hold against quantum
// computers, [SuiteXWing] first among them. It knows nothing of networks, of storage or of what an identity is.
//
// # From nothing to a conversation
//
// A client makes itself a signature key ([GenerateSigner]), publishes KeyPackages
// ([NewKeyPackage]) and keeps their private halves. Another one that has made a group ([Create]) adds it by [Group.Commit]
// with an [AddProposal], publishes the commit's Message to the members and its
// Welcome to the newcomer, who enters by [Join]. From then on [Group.Seal]
// encrypts, and [Group.Process] takes whatever comes in.
//
// # Stage, publish, merge
//
// A commit ends an epoch, and of several for the same epoch only one can count. Which one
// is for the delivery service to say. Therefore Commit changes nothing but
// stages: it returns a [StagedCommit] that the group holds as its pending one.
// Publish it; when it has been accepted, call [Group.MergePending], and when
// another was faster, process that one, which discards the own. Losing
// a race is ordinary: propose again in the new epoch.
//
// Process does the same with the commits of others: it validates them completely
// and returns them staged. The application looks at who does what
// (StagedCommit.Proposals, Added, Removed, the new extensions), decides whether they
// may, and calls [Group.Merge], or does not and is on its own from there.
//
// # What the caller owes
//
//   - An [AuthenticationService], which decides whose key is whose. Without a
//     serious one nothing here means anything.
//   - Storage. After every operation that changed something, [Group.TakeChanges]
//     gives the changed records. They go to disk in one transaction with what they
//     came with, before any ciphertext leaves the device and before any queue item
//     is acknowledged. If the transaction fails, drop the Group and [Load] it
//     again. Records hold secrets: what is deleted must be gone.
//   - One goroutine at a time per Group.
//   - Uniqueness of group ids, and destroying a [KeyPackageBundle] once used.
//   - Judging lifetimes where it matters: a KeyPackage must be within its
//     lifetime for one's own Commit to add it, while the lifetimes of leaves that
//     others add are not checked, because messages may be processed long after
//     they were sent and all members must decide alike.
//
// # What is promised
//
// Bytes from outside never panic, never allocate more than in proportion to
// their length, and change nothing unless they are valid in every respect the RFC
// names. A message key is used once: a generation that has been stored is never used
// again, and a key that has opened a message is wiped, as are the keys of epochs
// and leaves that are over. What has to be kept for messages that arrive late is bounded by [Config]:
// five epochs, twenty skipped keys per sender, a thousand generations ahead. Of a member
// 64 proposals are kept in an epoch.
//
// A message stores a ratchet record of less than 1 KiB (the first of a sender in
// an epoch, also a few secrets of 32 to 64 bytes on the way to its leaf); a
// commit stores the nodes of the tree that it has changed and the new epoch's secrets. The
// pending commit is on record with everything needed to merge it after a crash.
//
// Not here yet: external commits and proposals from outside the group, ReInit
// and branching. Their messages are refused with [ErrUnsupported].
package mls

// recordVersion begins everything that is stored.
const recordVersion = 1
