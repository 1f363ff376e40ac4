package mls

import (
	"hash/maphash"
	"maps"
)

// census counts what the rules about all members at once ask for, so that a
// commit is judged without walking the tree: keys in use, capabilities,
// credential types. A fork counts its differences on top of a shared base.
type census struct {
	base, delta map[censusKey]int32
}

type censusKey struct {
	kind censusKind
	id   uint64
}

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

var censusSeed = maphash.MakeSeed()

func keyID(key []byte) uint64 { return maphash.Bytes(censusSeed, key) }

func newCensus() *census {
	return &census{base: map[censusKey]int32{}, delta: map[censusKey]int32{}}
}

func (c *census) fork() *census {
	return &census{base: c.base, delta: maps.Clone(c.delta)}
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
	k := censusKey{kind, id}
	return int(c.base[k] + c.delta[k])
}

func (c *census) add(kind censusKind, id uint64, n int32) {
	c.delta[censusKey{kind, id}] += n
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
	for _, t := range merge(nil, ids...) {
		if !isGREASE(t) {
			c.add(kind, uint64(t), sign)
		}
	}
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
