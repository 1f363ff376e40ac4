package client

import (
	"encoding/json"
	"sync"
	"testing"

	"quicprochat/core/vault"
)

// What one connection learns of the route is not undone by what another one
// learns at the same time.
func TestRouteIsChangedByTwo(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	ctx := t.Context()
	for i := range 20 {
		link, issued := Link{Host: "198.51.100.7", Port: 4433 + i}.String(), int64(i+1)
		servers := []string{Link{Host: "198.51.100.8", Port: 4433 + i}.String()}
		var both sync.WaitGroup
		both.Go(func() {
			if err := alice.changeRoute(ctx, func(r *storedRoute) { r.Link, r.Issued = link, issued }); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			if err := alice.changeRoute(ctx, func(r *storedRoute) { r.Rendezvous = servers }); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		var raw []byte
		err := alice.vault.View(ctx, func(tx *vault.Tx) (err error) {
			raw, err = tx.Setting(settingRoute)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var stored storedRoute
		if err := json.Unmarshal(raw, &stored); err != nil {
			t.Fatal(err)
		}
		// the maintenance may have learned meanwhile that there are no other servers
		if stored.Link != link || stored.Issued != issued {
			t.Fatalf("round %d: %+v", i, stored)
		}
	}
}
