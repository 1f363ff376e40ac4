package mls

import (
	"slices"
	"testing"
)

// anyone is an authentication service that refuses nobody.
type anyone struct{}

func (anyone) ValidateLeaf(LeafContext, *LeafNode) error           { return nil }
func (anyone) ValidateExternalSender([]byte, ExternalSender) error { return nil }

type treeKEMSecret struct {
	Node   nodeIndex `json:"node"`
	Secret hexBytes  `json:"path_secret"`
}

type treeKEMLeaf struct {
	Index      LeafIndex       `json:"index"`
	Encryption hexBytes        `json:"encryption_priv"`
	Signature  hexBytes        `json:"signature_priv"`
	Secrets    []treeKEMSecret `json:"path_secrets"`
}

type treeKEMPath struct {
	Sender        LeafIndex   `json:"sender"`
	Path          hexBytes    `json:"update_path"`
	Secrets       []*hexBytes `json:"path_secrets"`
	CommitSecret  hexBytes    `json:"commit_secret"`
	TreeHashAfter hexBytes    `json:"tree_hash_after"`
}

type treeKEMVector struct {
	CipherSuite Suite         `json:"cipher_suite"`
	GroupID     hexBytes      `json:"group_id"`
	Epoch       uint64        `json:"epoch"`
	Confirmed   hexBytes      `json:"confirmed_transcript_hash"`
	Tree        hexBytes      `json:"ratchet_tree"`
	Leaves      []treeKEMLeaf `json:"leaves_private"`
	Paths       []treeKEMPath `json:"update_paths"`
}

func (v *treeKEMVector) follow(t *testing.T, s *suite) {
	before, err := parseTree(s, v.Tree)
	if err != nil {
		t.Fatal(err)
	}
	keysOf := func(l treeKEMLeaf) privateKeys {
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
			t.Fatal(err)
		}
		if !path.leaf.verifySignature(s, v.GroupID, u.Sender) {
			t.Error("leaf signature refused")
		}
		equal(t, "tree hash", after.rootHash(), u.TreeHashAfter)
		for _, l := range v.Leaves {
			if l.Index == u.Sender {
				continue
			}
			derived, commitSecret, err := after.openPath(l.Index, keysOf(l), steps, path, nil, contextOf(after))
			if err != nil {
				t.Fatalf("leaf %d: %v", l.Index, err)
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
