package mls

import (
	"crypto"
	"slices"
)

// groupInfo is GroupInfo of RFC 9420 §12.4.3.
type groupInfo struct {
	context         groupContext
	extensions      []Extension
	confirmationTag []byte
	signer          LeafIndex
	signature       []byte
	unsigned        []byte // the encoding but for the signature, of one that was read
}

func (g *groupInfo) encodeUnsigned(w *writer) {
	g.context.encode(w)
	writeList(w, g.extensions)
	w.vec(g.confirmationTag)
	w.u32(uint32(g.signer))
}

func (g *groupInfo) encode(w *writer) {
	g.encodeUnsigned(w)
	w.vec(g.signature)
}

func readGroupInfo(r *reader) *groupInfo {
	start := r.b
	g := &groupInfo{
		context: readGroupContext(r), extensions: readList(r, readExtension), confirmationTag: r.vec(), signer: LeafIndex(r.u32()),
	}
	if r.err == nil {
		g.unsigned = r.since(start)
	}
	g.signature = r.vec()
	return g
}

func (g *groupInfo) tbs() []byte {
	if g.unsigned != nil {
		return g.unsigned // a big group's is megabytes, with the tree inside
	}
	var w writer
	g.encodeUnsigned(&w)
	return w.b
}

func (g *groupInfo) sign(s *suite, signer crypto.Signer) (err error) {
	g.unsigned = nil
	g.signature, err = s.signWithLabel(signer, "GroupInfoTBS", g.tbs())
	return err
}

func (g *groupInfo) verify(s *suite, signatureKey []byte) bool {
	return s.verifyWithLabel(signatureKey, "GroupInfoTBS", g.tbs(), g.signature)
}

// groupInfo makes and signs the GroupInfo of an epoch.
func (e *epoch) groupInfo(s *suite, signer crypto.Signer, own LeafIndex, extensions []Extension) (*groupInfo, error) {
	info := &groupInfo{
		context: e.context, extensions: withGREASE(extensions, randomGREASE()), confirmationTag: e.confirmationTag, signer: own,
	}
	return info, info.sign(s, signer)
}

// externalGroupInfo is the MLSMessage by which one can join by an external commit.
func (e *epoch) externalGroupInfo(s *suite, signer crypto.Signer, own LeafIndex, withTree bool) ([]byte, error) {
	private, public, err := s.kem.deriveKeyPair(e.secrets.external)
	if err != nil {
		return nil, err
	}
	clear(private)
	var key writer
	key.vec(public)
	extensions := []Extension{{Type: ExtExternalPub, Data: key.b}}
	if withTree {
		extensions = append(extensions, Extension{Type: ExtRatchetTree, Data: marshal(e.tree)})
	}
	info, err := e.groupInfo(s, signer, own, extensions)
	if err != nil {
		return nil, err
	}
	return marshal(&message{wireFormat: wireGroupInfo, groupInfo: info}), nil
}

// externalPub gives the key that an external commit is made to.
func (g *groupInfo) externalPub(s *suite) ([]byte, error) {
	data, ok := findExtension(g.extensions, ExtExternalPub)
	if !ok {
		return nil, invalid("12.4.3.2", "group info without an external key")
	}
	key, err := unmarshal(slices.Clone(data), (*reader).vec)
	if err != nil {
		return nil, err
	}
	if !s.validPublicKey(key) {
		return nil, invalid("12.4.3.2", "external key is not a key")
	}
	return key, nil
}

// GroupInfo returns, as an MLSMessage, what JoinByCommit enters the present epoch
// with (RFC 9420 §12.4.3): signed by this member, with the external_pub extension
// and, if withTree, the ratchet tree. Whoever has it can ask to be let in; that the
// members' AuthenticationServices let nobody in who should not be is what protects
// the group. ErrRemoved, ErrReInit.
func (g *Group) GroupInfo(withTree bool) ([]byte, error) {
	if err := g.maySend(); err != nil {
		return nil, err
	}
	return g.cur.externalGroupInfo(g.suite, g.signer, g.own, withTree)
}

// RatchetTree returns the serialised ratchet tree of the present epoch (§12.4.3.3),
// for those who join by a Welcome or GroupInfo without it.
func (g *Group) RatchetTree() []byte { return marshal(g.cur.tree) }

// GroupInfo is Group.GroupInfo in the epoch that the commit begins, to be
// published with it. ErrRemoved where this member is not in it, ErrReInit where it
// closes the group; ErrStale once the commit is discarded or its epoch over.
func (s *StagedCommit) GroupInfo(withTree bool) ([]byte, error) {
	switch {
	case s.next == nil:
		return nil, ErrRemoved
	case s.ReInit != nil:
		return nil, ErrReInit
	case s.next.secrets.external == nil:
		return nil, ErrStale
	}
	return s.next.externalGroupInfo(s.suite, s.signer, s.own, withTree)
}

// RatchetTree is Group.RatchetTree in the epoch that the commit begins. ErrRemoved,
// ErrStale as for GroupInfo.
func (s *StagedCommit) RatchetTree() ([]byte, error) {
	if s.next == nil {
		return nil, ErrRemoved
	}
	if s.next.secrets.external == nil {
		return nil, ErrStale
	}
	return marshal(s.next.tree), nil
}
