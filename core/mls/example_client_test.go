package mls_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"log"

	"quicprochat/core/mls"
)

// What the examples have in place of an application: a directory of people, a
// vault for each, a delivery service that puts commits in order.

// directory is an authentication service that knows who has which key.
type directory map[string]ed25519.PublicKey

func (d directory) ValidateLeaf(_ mls.LeafContext, leaf *mls.LeafNode) error {
	return d.check(leaf.Credential, leaf.SignatureKey)
}

func (d directory) ValidateExternalSender(_ []byte, s mls.ExternalSender) error {
	return d.check(s.Credential, s.SignatureKey)
}

func (d directory) check(c mls.Credential, signatureKey []byte) error {
	if key, ok := d[string(c.Identity)]; !ok || !bytes.Equal(key, signatureKey) {
		return errors.New("unknown key")
	}
	return nil
}

// vault stores a group's records; a real one does it in one transaction with
// the message they came with.
type vault map[string][]byte

func (v vault) save(g *mls.Group) {
	for _, c := range g.TakeChanges() {
		if c.Value == nil {
			delete(v, string(c.Key))
		} else {
			v[string(c.Key)] = c.Value
		}
	}
}

func (v vault) records(yield func(key, value []byte) bool) {
	for key, value := range v {
		if !yield([]byte(key), value) {
			return
		}
	}
}

// service is a delivery service: of several commits for an epoch it takes the first.
type service map[uint64]bool

func (s service) accepts(commit []byte) bool {
	info := must(mls.Peek(commit))
	first := !s[info.Epoch]
	s[info.Epoch] = true
	return first
}

// client is one of the people. Its key serves for all the suites of the examples.
type client struct {
	name  string
	key   ed25519.PrivateKey
	cfg   mls.Config
	group *mls.Group
	vault vault
}

func newClient(known directory, name string) *client {
	public, key, err := ed25519.GenerateKey(nil)
	check(err)
	known[name] = public
	return &client{name: name, key: key, cfg: mls.Config{Auth: known}, vault: vault{}}
}

func (c *client) credential() mls.Credential { return mls.BasicCredential([]byte(c.name)) }

func (c *client) keyPackage(suite mls.Suite) *mls.KeyPackageBundle {
	return must(mls.NewKeyPackage(mls.KeyPackageOptions{Suite: suite, Credential: c.credential(), Signer: c.key}))
}

// create makes a group with these extensions of its context.
func (c *client) create(suite mls.Suite, id string, context ...mls.Extension) {
	c.group = must(mls.Create(c.cfg, mls.CreateParams{
		GroupID: []byte(id), Suite: suite, Credential: c.credential(), Signer: c.key, GroupContextExtensions: context,
	}))
	c.vault.save(c.group)
}

// add has everybody join the client's group, which has no other members yet.
func (c *client) add(others ...*client) {
	bundles := make([]*mls.KeyPackageBundle, len(others))
	adds := make([]mls.Proposal, len(others))
	for i, o := range others {
		bundles[i] = o.keyPackage(c.group.Suite())
		adds[i] = mls.AddProposal(bundles[i].KeyPackage())
	}
	staged := must(c.group.Commit(mls.CommitOptions{Proposals: adds}))
	check(c.group.MergePending())
	c.vault.save(c.group)
	for i, o := range others {
		o.group = must(mls.Join(o.cfg, o.key, bundles[i], staged.Welcome, nil))
		o.vault.save(o.group)
		bundles[i].Destroy()
	}
}

// merge merges the own commit, once it has been accepted.
func (c *client) merge() {
	check(c.group.MergePending())
	c.vault.save(c.group)
}

// receive processes a message and follows it, if it is a commit, whatever it does.
func (c *client) receive(message []byte) mls.Result {
	result := must(c.group.Process(message))
	if staged, ok := result.(*mls.StagedCommit); ok {
		check(c.group.Merge(staged))
	}
	c.vault.save(c.group)
	return result
}

func agree(a, b *client) bool {
	return bytes.Equal(a.group.EpochAuthenticator(), b.group.EpochAuthenticator())
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
