// Package mls is Messaging Layer Security, RFC 9420: groups whose members agree on fresh keys with
// every change, so that what is said can be read by those who are members then and by nobody
// else, not even by whoever gets hold of a member's keys later.
//
// It has all seven cipher suites of the RFC and five that also hold against quantum computers,
// [SuiteXWing] first among them. It knows nothing of networks, of storage or of what an identity
// is: the application brings these, and this page says what it owes.
//
// # From nothing to a conversation
//
// A client makes itself a signature key ([GenerateSigner]), publishes KeyPackages
// ([NewKeyPackage]) and keeps their private halves. Another one makes a group ([Create]) and adds
// it by a [Group.Commit] with an [AddProposal]: the commit's Message is for the members, its
// Welcome for the newcomer, who enters by [Join]. From then on [Group.Seal] encrypts, and
// [Group.Process] takes whatever comes in: application messages ([Application]), proposals
// ([ReceivedProposal]) and commits ([StagedCommit]).
//
// # Stage, publish, merge
//
// A commit ends an epoch, and of several for the same epoch only one can count. Which one is for
// the delivery service to say. Therefore Commit changes nothing but stages: it returns a
// [StagedCommit] that the group holds as its pending one ([Group.Pending]). Publish it; when it
// has been accepted, call [Group.MergePending], and when another was faster, process that one and
// merge it, which discards the own. Losing a race is ordinary: commit again in the new epoch.
//
// Process does the same with the commits of others: it validates them completely and returns them
// staged. The application looks at who does what (StagedCommit.Proposals, Added, Removed, the new
// extensions), decides whether they may, and calls [Group.Merge], or [Group.Discard] and is on its
// own from there: no other commit of that epoch will come. Until it is merged a commit has changed
// nothing, and can be processed again after a crash.
//
// # Proposals
//
// What is to change is given to Commit ([AddProposal], [RemoveProposal],
// [GroupContextExtensionsProposal], [ExternalPSKProposal], …), or sent ahead by [Group.Propose] for
// another to commit. [Group.ProposeUpdate] asks for fresh keys of one's own, which every commit
// brings anyway unless it is AddOnly, and [Group.ProposeSelfRemove] to be let go: nobody can
// commit its own leaving. An own commit takes all received proposals along that go together,
// unless they are rejected ([Group.Reject]): as a PSK should be that not all members are known to
// have, since who lacks it cannot follow.
//
// # From outside
//
// A member publishes a [Group.GroupInfo] of each epoch, best with the commit that begins it
// ([StagedCommit.GroupInfo]). Whoever has it can enter by a commit of its own, [JoinByCommit],
// without waiting for anybody, and a client that has lost its state comes back by the same means,
// which removes its old leaf (ExternalJoinOptions.Replace). The group it returns is in the new
// epoch already: store it, publish the commit, and delete it if another commit was faster. With
// [NewJoinProposal] a client asks to be added, and with [NewExternalProposal] a server that the
// group lists in its context ([ExternalSendersExtension]) asks for a change; a member has to
// commit either.
//
// All these come as a StagedCommit with External set, or as proposals whose From is not
// [SenderMember]. Nothing but the [AuthenticationService] and the application stands between
// whoever has a GroupInfo and the group, so judge them.
//
// # One group after another
//
// Suite and version of a group never change. To change them, such as to a suite that holds against
// quantum computers, the group is closed by a commit of a [ReInitProposal], and any member makes
// its successor with the same members by [Group.Reinitialize]; the others enter by
// [Group.JoinSuccessor] of the old group, which checks that the new one is what has been agreed.
// [Group.Branch] makes a group of some of the members in the same way. What ties the two together
// is a secret of the old group, its resumption PSK, which proves that whoever makes or joins the
// new one was a member of the old one: delete the old group only then. A [ResumptionPSKProposal]
// proves the same in any other group.
//
// # Suites and policy
//
// Everything that all groups of a client have in common is its [Config]. Proposals and commits of
// members are encrypted unless [HandshakePolicy] says otherwise; what comes from outside is always
// signed plain text. Application data is padded ([RFC 9420 §6.3.1]) so that its length says little.
//
// What a member's software understands is in its [Capabilities]: this package lists what it has
// itself, the application adds its own types (KeyPackageOptions.ExtraCapabilities), and a group
// can insist on some ([RequiredCapabilitiesExtension]). Credentials are basic or x509. Random
// values without meaning (GREASE, §13.5) are among all of these lists: ignore ids you do not know.
//
// # What the caller owes
//
//   - An [AuthenticationService], which decides whose key is whose. Without a serious one nothing
//     here means anything. Of an x509 credential it has to check the whole chain, and that the
//     leaf's signature key is the first certificate's: this package only carries it.
//   - Order. Every member has to process the same commits, one for each epoch, and the proposals
//     that they refer to before them. Application messages may come late or out of order.
//   - Storage. After every operation that changed something, [Group.TakeChanges] gives the changed
//     records. They go to disk in one transaction with what they came with, before any ciphertext
//     leaves the device and before any queue item is acknowledged. If the transaction fails, drop
//     the Group and [Load] it again. Records hold secrets: what is deleted must be gone. And never
//     go back to older records, nor load the same ones twice: keys would be used again. Whoever
//     has only a backup joins anew ([JoinByCommit] with Replace).
//   - One goroutine at a time per [Group].
//   - Committing before talking: RFC 9420 §12.4 asks whoever has received proposals to commit
//     them before the next application message, so that those who are to go do not hear it. Seal
//     does not insist.
//   - Uniqueness of group ids, and destroying a [KeyPackageBundle] once used.
//   - Judging lifetimes where it matters: a KeyPackage must be within its lifetime for one's own
//     Commit or Propose to add it, while the lifetimes of leaves that others add are not checked, because
//     messages may be processed long after they were sent and all members must decide alike.
//
// # What is promised
//
// Bytes from outside never panic, never allocate more than in proportion to their length, and
// change nothing unless they are valid in every respect the RFC names. A method that returns an
// error has changed nothing either. Errors are the sentinels of this package, each of which says
// what to do, or a [*ValidationError] with the section of the rule that is broken.
//
// A message key is used once: a generation that has been stored is never used again, and a key
// that has opened a message is wiped, as are the keys of epochs and leaves that are over. The
// pending commit is on record with everything needed to merge it after a crash.
//
// # Limits and sizes
//
// For messages that arrive late the keys of five past epochs are kept, and twenty skipped keys of
// each sender in each; a sender may be a thousand generations ahead ([Config] has other numbers).
// In an epoch 64 proposals are kept of each member and of each external sender, and 64 of all
// together who ask to join. A commit has at most 32,768 proposals, a ratchet tree from outside
// 1,048,576 blank nodes, a leaf 1,024 capabilities of a kind, and no vector 2³⁰ bytes.
//
// A message stores at most 1 KiB, keys of records included, however big the group is and though it
// be the first of its sender; only a sender's first message that arrives ahead of many others
// stores their keys on top. A commit stores what it has changed: nodes of the tree, private keys
// and the new epoch's secrets.
//
// Sealing and opening cost the same in any group. To process a commit takes time and memory as the
// tree is deep, not as the group is big, but for reading a message that is as long as the tree is
// blank: a tree in which few have committed yet has one ciphertext for each member. Epochs share
// what their trees have in common. Commit seals, and Join checks signatures, on all cores; no
// goroutine outlives a call.
//
// [RFC 9420 §6.3.1]: https://www.rfc-editor.org/rfc/rfc9420.html#section-6.3.1
package mls

// recordVersion begins everything that is stored.
const recordVersion = 1
