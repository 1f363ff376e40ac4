package mls_test

import (
	"fmt"

	"quicprochat/core/mls"
)

// Whatever happens, a group goes on from what has been stored.
func ExampleLoad() {
	known := directory{}
	alice, bob := newClient(known, "alice"), newClient(known, "bob")
	alice.create(mls.SuiteXWing, "lunch")
	alice.add(bob)
	restart := func(c *client) { c.group = must(mls.Load(c.cfg, c.key, c.vault.records)) }

	// A message: its key is gone from the vault before the message leaves.
	message := must(alice.group.Seal([]byte("noon?"), nil))
	for _, change := range alice.group.TakeChanges() {
		if change.Value == nil {
			delete(alice.vault, string(change.Key))
		} else {
			alice.vault[string(change.Key)] = change.Value
		}
	}
	restart(alice)
	bob.receive(message)

	// A commit: after a crash it is still pending, to be published once more.
	staged := must(alice.group.Commit(mls.CommitOptions{}))
	alice.vault.save(alice.group)
	restart(alice)
	pending := alice.group.Pending()
	fmt.Println("pending:", string(pending.Message) == string(staged.Message))
	alice.merge()
	bob.receive(pending.Message)

	restart(bob)
	fmt.Println(bob.group.Epoch(), agree(alice, bob))
	// Output:
	// pending: true
	// 2 true
}
