package mls

import (
	"hash/maphash"
	"maps"
	"slices"
)

// census counts what the rules about all members at once ask for, so that a
// commit is judged without walking the tree: keys in use, capabilities,
// credential types. A fork counts its differences on top of a shared base.
type census struct {
	base  *multiset
	delta map[censusKey]int32
	lists interner // of the leaves' capabilities
}

// multiset counts things most of which occur once: keys, two for each member.
type multiset struct {
	once map[censusKey]struct{}
	more map[censusKey]int32
}

func (t *multiset) count(k censusKey) int32 {
	if _, ok := t.once[k]; ok {
		return 1
	}
	return t.more[k]
}

func (t *multiset) add(k censusKey, n int32) {
	old := t.count(k)
	if old != 0 {
		delete(t.once, k)
		delete(t.more, k)
	}
	switch n += old; n {
	case 0:
	case 1:
		t.once[k] = struct{}{}
	default:
		t.more[k] = n
	}
}

// censusKey is what is counted: an id, and in the lowest bits its kind.
type censusKey uint64

type censusKind uint8

const (
	countLeaves censusKind = iota
	countEncryptionKey
	countSignatureKey
	countCredentialInUse
	countCredential // supported, as are the next two
	countExtension
	countProposal
)

func (k censusKind) of(id uint64) censusKey { return censusKey(id<<3 | uint64(k)) }

func (k censusKey) kind() censusKind { return censusKind(k & 7) }

var censusSeed = maphash.MakeSeed()

func keyID(key []byte) uint64 { return maphash.Bytes(censusSeed, key) }

func newCensus() *census {
	return censusOf(nil, interner{})
}

// censusOf counts a tree in its array form, of leaves that were read with lists.
func censusOf(nodes []node, lists interner) *census {
	keys := 0
	for _, n := range nodes {
		switch {
		case n.leaf != nil:
			keys += 2
		case n.parent != nil:
			keys++
		}
	}
	base := &multiset{once: make(map[censusKey]struct{}, keys), more: map[censusKey]int32{}}
	for _, n := range nodes {
		countNode(n, 1, func(k censusKey, n int32) {
			if kind := k.kind(); kind == countEncryptionKey || kind == countSignatureKey {
				base.add(k, n)
			} else {
				base.more[k] += n
			}
		})
	}
	return &census{base: base, delta: map[censusKey]int32{}, lists: lists}
}

// fork returns a census that begins with what c counts.
func (c *census) fork() *census {
	return &census{base: c.base, delta: maps.Clone(c.delta), lists: c.lists}
}

// fold makes the differences part of the base. Other forks of it are void.
func (c *census) fold() {
	for k, n := range c.delta {
		c.base.add(k, n)
	}
	clear(c.delta)
}

func (c *census) count(kind censusKind, id uint64) int {
	k := kind.of(id)
	return int(c.base.count(k) + c.delta[k])
}

// replace counts n in place of old.
func (c *census) replace(old, n node) {
	if old != n {
		add := func(k censusKey, n int32) { c.delta[k] += n }
		countNode(old, -1, add)
		countNode(n, 1, add)
	}
}

// countNode calls add, n times or minus that, for all that is counted of a node.
func countNode(x node, n int32, add func(censusKey, int32)) {
	if x.parent != nil {
		add(countEncryptionKey.of(keyID(x.parent.encryptionKey)), n)
	}
	l := x.leaf
	if l == nil {
		return
	}
	add(countLeaves.of(0), n)
	add(countEncryptionKey.of(keyID(l.EncryptionKey)), n)
	add(countSignatureKey.of(keyID(l.SignatureKey)), n)
	add(countCredentialInUse.of(uint64(l.Credential.Type)), n)
	countCapabilities(countCredential, l.Capabilities.Credentials, n, add)
	countCapabilities(countExtension, l.Capabilities.Extensions, n, add)
	countCapabilities(countProposal, l.Capabilities.Proposals, n, add)
}

// countCapabilities leaves out GREASE, which this member does not support, so that
// nothing can ever require it (§13.5).
func countCapabilities(kind censusKind, ids []uint16, n int32, add func(censusKey, int32)) {
	for i, t := range ids {
		if !isGREASE(t) && !slices.Contains(ids[:i], t) {
			add(kind.of(uint64(t)), n)
		}
	}
}

// repeated tells of which kind, if any, a key of the base occurs twice.
func (c *census) repeated() (kind censusKind, twice bool) {
	for k, n := range c.base.more {
		kind = k.kind()
		if n > 1 && (kind == countEncryptionKey || kind == countSignatureKey) {
			return kind, true
		}
	}
	return 0, false
}

func (c *census) leaves() int { return c.count(countLeaves, 0) }

func (c *census) allHaveExtension(t uint16) bool {
	return defaultExtension(t) || c.count(countExtension, uint64(t)) == c.leaves()
}

func (c *census) allHaveProposal(t uint16) bool {
	return defaultProposal(t) || c.count(countProposal, uint64(t)) == c.leaves()
}

func (c *census) allHaveCredential(t uint16) bool {
	return c.count(countCredential, uint64(t)) == c.leaves()
}

// credentialsSupported tells whether every member supports every credential type in use (§7.3).
func (c *census) credentialsSupported() bool {
	for _, t := range []CredentialType{CredentialBasic, CredentialX509} {
		if c.count(countCredentialInUse, uint64(t)) > 0 && !c.allHaveCredential(uint16(t)) {
			return false
		}
	}
	return true
}

// supports tells whether every member supports these group-context extensions
// and what they require (§7.2, §11.1).
func (c *census) supports(context []Extension) error {
	for _, e := range context {
		if !c.allHaveExtension(e.Type) {
			return invalid("12.1.7", "a member does not support group context extension %#04x", e.Type)
		}
	}
	req, err := requiredCapabilitiesOf(context)
	if err != nil {
		return err
	}
	for _, t := range req.extensions {
		if !c.allHaveExtension(t) {
			return invalid("11.1", "a member lacks required extension %#04x", t)
		}
	}
	for _, t := range req.proposals {
		if !c.allHaveProposal(t) {
			return invalid("11.1", "a member lacks required proposal type %#04x", t)
		}
	}
	for _, t := range req.credentials {
		if !c.allHaveCredential(t) {
			return invalid("11.1", "a member lacks required credential type %#04x", t)
		}
	}
	return nil
}
