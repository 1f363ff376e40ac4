package mls

import (
	"errors"
	"fmt"
)

// What Process, Merge, Join and Load answer. None of them leaves a changed
// state behind.
var (
	// ErrMalformed: the bytes are not a well-formed MLS structure. Drop them.
	ErrMalformed = errors.New("mls: malformed")
	// ErrUnsupported: well-formed, but of a suite, version, sender, credential or proposal type
	// that this package does not process. Drop it.
	ErrUnsupported = errors.New("mls: unsupported")
	// ErrWrongGroup: the message belongs to another group. Route it there.
	ErrWrongGroup = errors.New("mls: message for another group")
	// ErrOldEpoch: a handshake message for an epoch that is over (a lost race, or
	// a replay), or an application message for an epoch whose keys are gone.
	// Drop it; a sender of one's own proposes or commits anew.
	ErrOldEpoch = errors.New("mls: epoch is over")
	// ErrFutureEpoch: the commits leading to the message's epoch are still
	// missing. Keep the message and process it after them.
	ErrFutureEpoch = errors.New("mls: epoch not reached yet")
	// ErrOwnMessage: the echo of a message that this member sent. Ordinary: for a
	// commit, compare with Pending and merge it.
	ErrOwnMessage = errors.New("mls: own message")
	// ErrAlreadyUsed: the message's key was consumed or has expired: a duplicate. Drop it.
	ErrAlreadyUsed = errors.New("mls: message key already used")
	// ErrTooFarAhead: the message's generation is more than Config.Forward ahead of
	// the last one seen from this sender: most of what it sent is missing, or it is at
	// fault. Process what is missing first, then the message again; else drop it.
	ErrTooFarAhead = errors.New("mls: generation too far ahead")
	// ErrDecrypt: authenticated decryption failed: garbage, or not meant for this member.
	// Drop it.
	ErrDecrypt = errors.New("mls: decryption failed")
	// ErrInvalidSignature: a signature, or a MAC by the group, does not verify.
	// Drop it.
	ErrInvalidSignature = errors.New("mls: invalid signature")
	// ErrRemoved: this member is no longer in the group, which is read-only:
	// late messages of its last epochs still open. Delete the group when they are not
	// waited for any more; being added again makes a new one.
	ErrRemoved = errors.New("mls: removed from the group")
	// ErrReInit: the group has been re-initialised (RFC 9420 §11.2). Nothing is sent
	// or received in its last epoch; late messages of earlier epochs still open.
	// Go on in its successor: make it by Group.Reinitialize, or join the one that another
	// member has made by Group.JoinSuccessor.
	ErrReInit = errors.New("mls: group has been re-initialised")
	// ErrPending: the group has a pending commit of its own already. Merge or discard it first.
	ErrPending = errors.New("mls: a commit is pending")
	// ErrNoPending: there is no pending commit to merge: it was merged or discarded,
	// the latter also by merging another member's.
	ErrNoPending = errors.New("mls: no pending commit")
	// ErrStale: the staged commit is not for the group's present epoch, or has been discarded.
	// Forget it; of one's own: commit anew.
	ErrStale = errors.New("mls: staged commit is stale")
	// ErrLeaving: this member has proposed its own removal and can only wait for
	// another member to commit it.
	ErrLeaving = errors.New("mls: leaving the group")
	// ErrNoKeyPackage: the Welcome is not for the KeyPackage given. Try the
	// others there are, and drop it if it is for none.
	ErrNoKeyPackage = errors.New("mls: welcome is for another key package")
	// ErrNoTree: neither the Welcome or GroupInfo nor the caller gave the ratchet tree.
	// Get it elsewhere and call again.
	ErrNoTree = errors.New("mls: no ratchet tree")
	// ErrCorruptState: the records given to Load are not a group's complete state.
	// Nothing mends them: join anew, by JoinByCommit with Replace or by a Welcome.
	ErrCorruptState = errors.New("mls: corrupt group state")
	// ErrMissingProposal: the commit refers to a proposal that has not been
	// processed. Process that first, then the commit again.
	ErrMissingProposal = errors.New("mls: commit refers to an unknown proposal")
	// ErrTooManyProposals: the sender has proposed to leave already, or more in this
	// epoch than is kept of one sender. Drop it; of one's own: commit, or wait for a commit.
	ErrTooManyProposals = errors.New("mls: too many proposals by one sender")
	// ErrPublicHandshake: a member sent a handshake message as a PublicMessage, which
	// Config.Handshakes does not allow. Drop it.
	ErrPublicHandshake = errors.New("mls: public handshake message against the policy")
	// ErrMissingPSK: a pre-shared key that the commit or Welcome uses is not known here.
	// Get it, so that Config finds it, and call again; without it this member cannot follow.
	ErrMissingPSK = errors.New("mls: pre-shared key is missing")
	// ErrSigner: the signing key is missing, of the wrong type, or not the one of the leaf.
	// Call again with the right one.
	ErrSigner = errors.New("mls: signing key does not fit")
)

// ValidationError tells which rule of RFC 9420 (or of the document named in
// Section) a well-formed, authentic structure breaks. The sender is at fault;
// nothing has changed.
type ValidationError struct {
	Section string // e.g. "12.2"
	Reason  string
	Err     error // what the authentication service said, or nil
}

func (e *ValidationError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("mls: §%s: %s: %v", e.Section, e.Reason, e.Err)
	}
	return fmt.Sprintf("mls: §%s: %s", e.Section, e.Reason)
}

func (e *ValidationError) Unwrap() error { return e.Err }

// SuccessorError: the Welcome given to Join is into a group that takes the place
// of another one, or is a branch of it. Join it by JoinSuccessor of that group,
// which checks the one against the other; if there is no such group here, drop it.
type SuccessorError struct {
	GroupID []byte // of the old group
	Epoch   uint64 // of the old group
	Branch  bool   // not a re-initialisation
}

func (e *SuccessorError) Error() string {
	if e.Branch {
		return "mls: welcome into a branch of another group"
	}
	return "mls: welcome into the successor of another group"
}

func invalid(section, format string, args ...any) error {
	return &ValidationError{Section: section, Reason: fmt.Sprintf(format, args...)}
}
