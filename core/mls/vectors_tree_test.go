package mls

import (
	"errors"
	"slices"
	"testing"
)

type treeOperationsVector struct {
	CipherSuite Suite     `json:"cipher_suite"`
	Proposal    hexBytes  `json:"proposal"`
	Sender      LeafIndex `json:"proposal_sender"`
	Before      hexBytes  `json:"tree_before"`
	After       hexBytes  `json:"tree_after"`
	HashBefore  hexBytes  `json:"tree_hash_before"`
	HashAfter   hexBytes  `json:"tree_hash_after"`
}

func (v *treeOperationsVector) follow(t *testing.T, s *suite) {
	tree, err := parseTree(s, v.Before)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "hash before", tree.rootHash(), v.HashBefore)
	p, err := unmarshal(v.Proposal, readProposal)
	if err != nil {
		t.Fatal(err)
	}
	switch p.typ {
	case ProposalAdd:
		tree.add(p.keyPackage.leaf)
	case ProposalUpdate:
		tree.update(v.Sender, p.leaf)
	case ProposalRemove:
		tree.remove(p.removed)
	}
	equal(t, "tree after", marshal(tree), v.After)
	equal(t, "hash after", tree.rootHash(), v.HashAfter)
}

type treeValidationVector struct {
	CipherSuite Suite         `json:"cipher_suite"`
	GroupID     hexBytes      `json:"group_id"`
	Tree        hexBytes      `json:"tree"`
	Hashes      []hexBytes    `json:"tree_hashes"`
	Resolutions [][]nodeIndex `json:"resolutions"`
}

func (v *treeValidationVector) follow(t *testing.T, s *suite) {
	tree, err := parseTree(s, v.Tree)
	if err != nil {
		t.Fatal(err)
	}
	for x := range 2*tree.leaves() - 1 {
		if got := tree.resolution(nodeIndex(x)); v.Resolutions != nil && !slices.Equal(got, v.Resolutions[x]) {
			t.Errorf("resolution of %d is %v, want %v", x, got, v.Resolutions[x])
		}
		equal(t, "tree hash", tree.hash(nodeIndex(x)), v.Hashes[x])
	}
	if err := tree.validate(v.GroupID); err != nil {
		t.Error(err)
	}
	equal(t, "tree", marshal(tree), v.Tree)
	if err := tree.validate(append(slices.Clone(v.GroupID), 1)); err == nil && hasSignedPlace(tree) {
		t.Error("valid for another group")
	}
}

func hasSignedPlace(tree *ratchetTree) (found bool) {
	tree.members(func(_ LeafIndex, l *LeafNode) bool {
		found = found || l.Source != SourceKeyPackage
		return true
	})
	return found
}

// Breaking any of a tree's parent hashes, keys or unmerged lists is noticed.
func TestTreeValidationNotices(t *testing.T) {
	type vector struct {
		CipherSuite Suite    `json:"cipher_suite"`
		GroupID     hexBytes `json:"group_id"`
		Tree        hexBytes
	}
	breaks := map[string]func(*parentNode){
		"parent hash": func(p *parentNode) { p.parentHash = append(slices.Clone(p.parentHash), 1) },
		"key":         func(p *parentNode) { p.encryptionKey = slices.Clone(p.encryptionKey); p.encryptionKey[0] ^= 1 },
		"unmerged":    func(p *parentNode) { p.unmerged = append(slices.Clone(p.unmerged), 1<<20) },
	}
	tried := 0
	for _, v := range official[vector](t, "tree-validation.json") {
		if v.CipherSuite != SuiteX25519 {
			continue
		}
		whole, err := parseTree(suites[0], v.Tree)
		if err != nil {
			t.Fatal(err)
		}
		whole.top.walk(whole.root(), func(x nodeIndex, n node) bool {
			if n.parent == nil {
				return true
			}
			for name, f := range breaks {
				broken := whole.clone()
				p := *n.parent
				f(&p)
				broken.set(x, node{parent: &p})
				tree, err := parseTree(suites[0], marshal(broken))
				if err != nil {
					t.Fatal(err)
				}
				var invalid *ValidationError
				if err := tree.validate(v.GroupID); !errors.As(err, &invalid) {
					t.Errorf("node %d with a broken %s: %v", x, name, err)
				}
				tried++
			}
			return true
		})
	}
	if tried == 0 {
		t.Error("nothing was broken")
	}
}
