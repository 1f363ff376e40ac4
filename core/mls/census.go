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
	base, delta map[censusKey]int32
	lists       interner // of the leaves' capabilities
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

var censusSeed = maphash.MakeSeed()

func keyID(key []byte) uint64 { return maphash.Bytes(censusSeed, key) }

func newCensus() *census {
	return &census{base: map[censusKey]int32{}, delta: map[censusKey]int32{}, lists: interner{}}
}

// censusOf counts a tree in its array form, of leaves that were read with lists.
func censusOf(nodes []node, lists interner) *census {
	c := &census{delta: make(map[censusKey]int32, len(nodes)), lists: lists}
	for _, n := range nodes {
		c.addNode(n, 1)
	}
	c.base, c.delta = c.delta, map[censusKey]int32{}
	return c
}

// fork returns a census that begins with what c counts.
func (c *census) fork() *census {
	return &census{base: c.base, delta: maps.Clone(c.delta), lists: c.lists}
}

// fold makes the differences part of the base. Other forks of it are void.
func (c *census) fold() {
	for k, n := range c.delta {
		if n += c.base[k]; n == 0 {
			delete(c.base, k)
		} else {
			c.base[k] = n
		}
	}
	clear(c.delta)
}

func (c *census) count(kind censusKind, id uint64) int {
	k := kind.of(id)
	return int(c.base[k] + c.delta[k])
}

func (c *census) add(kind censusKind, id uint64, n int32) { c.delta[kind.of(id)] += n }

// replace counts n in place of old.
func (c *census) replace(old, n node) {
	if old != n {
		c.addNode(old, -1)
		c.addNode(n, 1)
	}
}

func (c *census) addNode(n node, sign int32) {
	if n.parent != nil {
		c.add(countEncryptionKey, keyID(n.parent.encryptionKey), sign)
	}
	l := n.leaf
	if l == nil {
		return
	}
	c.add(countLeaves, 0, sign)
	c.add(countEncryptionKey, keyID(l.EncryptionKey), sign)
	c.add(countSignatureKey, keyID(l.SignatureKey), sign)
	c.add(countCredentialInUse, uint64(l.Credential.Type), sign)
	c.addCapabilities(countCredential, l.Capabilities.Credentials, sign)
	c.addCapabilities(countExtension, l.Capabilities.Extensions, sign)
	c.addCapabilities(countProposal, l.Capabilities.Proposals, sign)
}

// addCapabilities leaves out GREASE, which this member does not support, so that
// nothing can ever require it (§13.5).
func (c *census) addCapabilities(kind censusKind, ids []uint16, sign int32) {
	for i, t := range ids {
		if !isGREASE(t) && !slices.Contains(ids[:i], t) {
			c.add(kind, uint64(t), sign)
		}
	}
}

// repeated tells of which kind, if any, a key of the base occurs twice.
func (c *census) repeated() (kind censusKind, twice bool) {
	for k, n := range c.base {
		kind = censusKind(k & 7)
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
