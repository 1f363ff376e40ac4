package mls

import (
	"bytes"
	"slices"
	"testing"
)

// anyone is an authentication service that refuses nobody.
type anyone struct{}

func (anyone) ValidateLeaf(LeafContext, *LeafNode) error           { return nil }
func (anyone) ValidateExternalSender([]byte, ExternalSender) error { return nil }

func TestVectorsTreeKEM(t *testing.T) {
	type pathSecret struct {
		Node   nodeIndex
		Secret hexBytes `json:"path_secret"`
	}
	type leafPrivate struct {
		Index      LeafIndex
		Encryption hexBytes     `json:"encryption_priv"`
		Signature  hexBytes     `json:"signature_priv"`
		Secrets    []pathSecret `json:"path_secrets"`
	}
	type vector struct {
		CipherSuite Suite    `json:"cipher_suite"`
		GroupID     hexBytes `json:"group_id"`
		Epoch       uint64
		Confirmed   hexBytes      `json:"confirmed_transcript_hash"`
		Tree        hexBytes      `json:"ratchet_tree"`
		Leaves      []leafPrivate `json:"leaves_private"`
		Paths       []struct {
			Sender        LeafIndex
			Path          hexBytes    `json:"update_path"`
			Secrets       []*hexBytes `json:"path_secrets"`
			CommitSecret  hexBytes    `json:"commit_secret"`
			TreeHashAfter hexBytes    `json:"tree_hash_after"`
		} `json:"update_paths"`
	}
	var c tally
	for n, v := range vectors[vector](t, "treekem.json") {
		s := c.suite(v.CipherSuite)
		if s == nil {
			continue
		}
		c.run++
		before, err := parseTree(s, v.Tree)
		if err != nil {
			t.Fatal(err)
		}
		keysOf := func(l leafPrivate) privateKeys {
			keys := privateKeys{l.Index.node(): l.Encryption}
			for _, p := range l.Secrets {
				private, public, err := s.nodeKeyPair(p.Secret)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "public key", public, before.node(p.Node).encryptionKey())
				keys[p.Node] = private
			}
			return keys
		}
		contextOf := func(tree *ratchetTree) []byte {
			return marshal(&groupContext{
				suite: s.id, groupID: v.GroupID, epoch: v.Epoch,
				treeHash: tree.rootHash(), confirmedTranscriptHash: v.Confirmed,
			})
		}
		for _, u := range v.Paths {
			path, err := unmarshal(u.Path, readUpdatePath)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "path", marshal(path), u.Path)
			after := before.clone()
			steps, err := after.applyPath(u.Sender, path, nil)
			if err != nil {
				t.Fatalf("case %d: %v", n, err)
			}
			if !path.leaf.verifySignature(s, v.GroupID, u.Sender) {
				t.Errorf("case %d: leaf signature refused", n)
			}
			equal(t, "tree hash", after.rootHash(), u.TreeHashAfter)
			for _, l := range v.Leaves {
				if l.Index == u.Sender {
					continue
				}
				derived, commitSecret, err := after.openPath(l.Index, keysOf(l), steps, path, nil, contextOf(after))
				if err != nil {
					t.Fatalf("case %d: leaf %d: %v", n, l.Index, err)
				}
				equal(t, "commit secret", commitSecret, u.CommitSecret)
				k := slices.IndexFunc(steps, func(s pathStep) bool { return s.node.covers(l.Index) })
				private, _, err := s.nodeKeyPair(*u.Secrets[l.Index])
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "path key", derived[steps[k].node], private)
			}
		}
		for _, from := range v.Leaves[:min(2, len(v.Leaves))] { // and paths of our own
			after := before.clone()
			path, err := after.createPath(from.Index, after.leaf(from.Index), vectorSigner(t, s, from.Signature), v.GroupID)
			if err != nil {
				t.Fatal(err)
			}
			if err := path.seal(after, nil, contextOf(after)); err != nil {
				t.Fatal(err)
			}
			received := before.clone()
			steps, err := received.applyPath(from.Index, &path.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "tree hash", received.rootHash(), after.rootHash())
			for _, l := range v.Leaves {
				if l.Index == from.Index {
					continue
				}
				_, commitSecret, err := received.openPath(l.Index, keysOf(l), steps, &path.path, nil, contextOf(received))
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "commit secret", commitSecret, path.commitSecret)
			}
		}
	}
	c.report(t)
}

// passiveVector is a client that joins and follows commits, in the working group's format.
type passiveVector struct {
	CipherSuite   Suite           `json:"cipher_suite"`
	ExternalPSKs  []passivePSK    `json:"external_psks"`
	KeyPackage    hexBytes        `json:"key_package"`
	Signature     hexBytes        `json:"signature_priv"`
	Encryption    hexBytes        `json:"encryption_priv"`
	Init          hexBytes        `json:"init_priv"`
	Welcome       hexBytes        `json:"welcome"`
	Tree          *hexBytes       `json:"ratchet_tree"`
	Authenticator hexBytes        `json:"initial_epoch_authenticator"`
	Epochs        []passiveCommit `json:"epochs"`
}

type passivePSK struct {
	ID  hexBytes `json:"psk_id"`
	PSK hexBytes `json:"psk"`
}

type passiveCommit struct {
	Proposals     []hexBytes `json:"proposals"`
	Commit        hexBytes   `json:"commit"`
	Authenticator hexBytes   `json:"epoch_authenticator"`
}

func TestVectorsPassiveClient(t *testing.T) {
	for _, file := range []string{"passive-client-welcome.json", "passive-client-handling-commit.json"} {
		t.Run(file, func(t *testing.T) {
			var c tally
			for _, v := range vectors[passiveVector](t, file) {
				if c.suite(v.CipherSuite) != nil {
					c.run++
					v.follow(t)
				}
			}
			c.report(t)
		})
	}
}

// follow joins and processes, starting each epoch from the records of the one before.
func (v *passiveVector) follow(t *testing.T) {
	t.Helper()
	s, err := suiteOf(v.CipherSuite)
	if err != nil {
		t.Fatal(err)
	}
	kp, err := unmarshal(v.KeyPackage, readMessage)
	if err != nil {
		t.Fatal(err)
	}
	bundle := &KeyPackageBundle{kp: kp.keyPackage, initPrivate: v.Init, encryptPrivate: v.Encryption}
	cfg := Config{Auth: anyone{}, Handshakes: HandshakesMixed, ExternalPSK: func(id []byte) ([]byte, bool) {
		i := slices.IndexFunc(v.ExternalPSKs, func(p passivePSK) bool { return bytes.Equal(p.ID, id) })
		if i < 0 {
			return nil, false
		}
		return v.ExternalPSKs[i].PSK, true
	}}
	var tree []byte
	if v.Tree != nil {
		tree = *v.Tree
	}
	signer := vectorSigner(t, s, v.Signature)
	g, err := Join(cfg, signer, bundle, v.Welcome, tree)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "authenticator", g.EpochAuthenticator(), v.Authenticator)
	store := records{}
	for k, e := range v.Epochs {
		store.apply(g.TakeChanges())
		if g, err = Load(cfg, signer, store.each); err != nil {
			t.Fatalf("epoch %d: %v", k, err)
		}
		for _, p := range e.Proposals {
			if _, err := g.Process(p); err != nil {
				t.Fatalf("epoch %d: proposal: %v", k, err)
			}
		}
		r, err := g.Process(e.Commit)
		if err != nil {
			t.Fatalf("epoch %d: %v", k, err)
		}
		if err := g.Merge(r.(*StagedCommit)); err != nil {
			t.Fatal(err)
		}
		equal(t, "authenticator", g.EpochAuthenticator(), e.Authenticator)
	}
}

// records is a store of a group's records in memory.
type records map[string][]byte

func (r records) apply(changes []Change) {
	for _, c := range changes {
		if c.Value == nil {
			delete(r, string(c.Key))
		} else {
			r[string(c.Key)] = c.Value
		}
	}
}

func (r records) each(yield func(key, value []byte) bool) {
	for k, v := range r {
		if !yield([]byte(k), bytes.Clone(v)) {
			return
		}
	}
}
