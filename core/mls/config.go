package mls

import (
	"errors"
	"time"
)

// LeafContext is what an AuthenticationService gets to know besides the leaf.
type LeafContext struct {
	GroupID  []byte
	Source   LeafSource
	Index    LeafIndex // the leaf's place; of no meaning for a KeyPackage that is being added
	Previous *LeafNode // the leaf it replaces, nil where there is none
	Now      time.Time
}

// AuthenticationService judges whether a leaf's credential belongs to its
// signature key and, where it replaces another, to the same client (RFC 9420
// §5.3.1). An error refuses the leaf, and with it the operation that brought
// it. It is asked about each leaf of a tree on joining, and about each leaf
// that a proposal or commit brings; not about one's own. Where a client joins by an
// external commit that removes its earlier leaf, that one is what the new leaf replaces.
//
// It is also asked whether somebody outside of the group may be one of those whose
// proposals the group takes (§12.1.8.1): about each that one's own Create, a group
// to join or a new list of them brings.
type AuthenticationService interface {
	ValidateLeaf(ctx LeafContext, leaf *LeafNode) error
	ValidateExternalSender(groupID []byte, s ExternalSender) error
}

// Config is what all groups of a client have in common. All members of a group need to
// have the same Handshakes and Forward, and AuthenticationServices that decide alike: a
// commit that some take and others refuse divides the group.
type Config struct {
	Auth AuthenticationService // required
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// ExternalPSK finds a pre-shared key by its id; nil means that there are none.
	ExternalPSK func(id []byte) (secret []byte, ok bool)
	// ResumptionPSK finds the resumption PSK of an epoch of another group, or of
	// one that this group no longer keeps: see Group.ResumptionPSK. nil means that
	// there are none.
	ResumptionPSK func(groupID []byte, epoch uint64) (secret []byte, ok bool)
	// Identifier gives the identifier that a leaf's credential presents, to
	// compare the members of a re-initialised or branched group with those of the old
	// one (RFC 9420 §11.3); nil means the encoded credential. Two leaves may have one.
	Identifier func(leaf *LeafNode) []byte
	// Handshakes says whether proposals and commits are encrypted.
	Handshakes HandshakePolicy
	// Padding gives the padded length of a content of n bytes, at least n; nil
	// means Padmé over a floor of 256.
	Padding func(n int) int
	// PastEpochs is how many epochs before the present one can still be
	// decrypted, and their resumption PSKs used; 0 means 5, negative means none.
	PastEpochs int
	// OutOfOrder is how many skipped message keys are kept per sender and epoch;
	// 0 means 20, negative means none.
	OutOfOrder int
	// Forward is how many generations a sender may be ahead; 0 means 1000.
	Forward int
}

func (c Config) withDefaults() (Config, error) {
	if c.Auth == nil {
		return c, errors.New("mls: Config.Auth is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Padding == nil {
		c.Padding = paddedLen
	}
	c.PastEpochs = orDefault(c.PastEpochs, 5)
	c.OutOfOrder = orDefault(c.OutOfOrder, 20)
	c.Forward = orDefault(c.Forward, 1000)
	return c, nil
}

func orDefault(n, byDefault int) int {
	if n == 0 {
		return byDefault
	}
	return max(n, 0)
}

func (c *Config) now() time.Time { return c.Now() }
