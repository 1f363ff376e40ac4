package storagetest

import (
	"testing"
	"time"

	"quicprochat/server/storage"
)

// The ids in the data of the first schema.
var (
	firstAccount = [16]byte{0xa1}
	firstDevices = [][16]byte{{0xd1}, {0xd2}}
	firstRevoked = [16]byte{0xd3}
	firstChannel = storage.ChannelID{0xc1}
	firstItem    = storage.ItemID{0x1e, 1}
	firstWinner  = storage.ItemID{0x1e, 3}
	firstInvite  = storage.InviteHash{0x1f}
)

// FillFirstSchema puts something of everything into an empty store. What it
// leaves in a database with the first schema is kept in the implementations'
// testdata, for [CheckFirstSchema].
func FillFirstSchema(t testing.TB, s storage.Store) {
	t.Helper()
	must(t, s.CreateInvite(t.Context(), storage.Invite{Hash: firstInvite, Uses: 3, Expires: today.Add(day)}))
	a := newAccount("ada ünï")
	a.ID, a.DeviceID, a.Invite = firstAccount, firstDevices[0], &firstInvite
	one, err := s.CreateAccount(t.Context(), a)
	must(t, err)
	add := func(id [16]byte) storage.Device {
		d, err := s.AddDevice(t.Context(), storage.NewDevice{ID: id, Account: firstAccount, Certificate: []byte("second"), Now: today})
		must(t, err)
		return d
	}
	two := add(firstDevices[1])
	gone := add(firstRevoked)
	must(t, s.RevokeDevice(t.Context(), firstAccount, gone.ID))
	putKeys(t, s, one.ID, 2, true)
	putKeys(t, s, two.ID, 1, false)
	claim(t, s, firstAccount, today)
	c := storage.NewChannel{ID: firstChannel, Epoch: 7, VerifyKey: []byte("key 7"), Addresses: addressesOf([]storage.QueueID{one.Queue, two.Queue}), Now: today}
	must(t, s.CreateChannel(t.Context(), c))
	p := newPost(firstChannel, 7, "first")
	p.Item = firstItem
	post(t, s, p)
	post(t, s, newPost(firstChannel, 7, "second"))
	com := newCommit(firstChannel, 7, "commit")
	com.Item = firstWinner
	commit(t, s, com)
	must(t, s.AckItems(t.Context(), one.Queue, 1))
}

// CheckFirstSchema makes sure that everything which [FillFirstSchema] has put
// into a database is there in a store of the present.
func CheckFirstSchema(t testing.TB, s storage.Store) {
	t.Helper()
	a, err := s.AccountByName(t.Context(), "ada ünï")
	must(t, err)
	equal(t, "account", a.ID, firstAccount)
	equal(t, "record", len(a.Record), 192)
	must(t, s.CheckInvite(t.Context(), firstInvite, today))
	devices, err := s.Devices(t.Context(), firstAccount)
	must(t, err)
	equal(t, "devices", len(devices), 2)
	one, two := devices[0], devices[1]
	equal(t, "first device", one.ID, firstDevices[0])
	equal(t, "second device", two.ID, firstDevices[1])
	_, err = s.Device(t.Context(), firstAccount, firstRevoked)
	wantErr(t, err, storage.ErrDeviceRevoked)

	keys := claim(t, s, firstAccount, today)
	equal(t, "devices with keys", len(keys), 1)
	equal(t, "last resort", keys[0].LastResort, false)
	keys = claim(t, s, firstAccount, today)
	equal(t, "last resort", keys[0].LastResort, true)

	c := channelOf(t, s, firstChannel)
	equal(t, "epoch", c.Epoch, 8)
	equal(t, "keys", len(c.Keys), 2)
	winner, ok, err := s.Winner(t.Context(), firstChannel, 7)
	must(t, err)
	equal(t, "winner is known", ok, true)
	equal(t, "winner", winner, firstWinner)
	equal(t, "one queue", texts(t, s, one.Queue), "second commit")
	equal(t, "other queue", texts(t, s, two.Queue), "first second commit")
	p := newPost(firstChannel, 8, "again")
	p.Item = firstItem
	posted := post(t, s, p)
	equal(t, "repeated item", posted.Duplicate, true)
	equal(t, "its seq", posted.ChannelSeq, 1)
	equal(t, "next seq", post(t, s, newPost(firstChannel, 8, "third")).ChannelSeq, 4)
	equal(t, "one queue", texts(t, s, one.Queue), "second commit third")
	equal(t, "role", a.Role, storage.RoleUser)
	equal(t, "banned", a.Banned(today), false)
	// what later schemas brought can be used
	_, err = s.ClaimDevice(t.Context(), firstAccount, one.ID, random16())
	must(t, err)
	must(t, s.SetRole(t.Context(), firstAccount, storage.RoleModerator))
	ban(t, s, newBan(firstAccount, nil))
	equal(t, "keys of a banned account", len(claim(t, s, firstAccount, today)), 0)
	must(t, s.UnbanAccount(t.Context(), firstAccount, nil, today))
	addReport(t, s, newReport(1))
	invited := newAccount("cai")
	invited.Invite = &firstInvite
	_, err = s.CreateAccount(t.Context(), invited)
	must(t, err)
	equal(t, "role by an invite from before", accountOf(t, s, invited.ID).Role, storage.RoleUser)
	blob := finishedBlob(t, s)
	equal(t, "chunks", chunks(t, s, blob.Name), "[0 1 2 3 4]")
	must(t, s.PutVault(t.Context(), storage.Vault{Account: firstAccount, Version: 1, Sealed: []byte("vault")}))
	must(t, s.PutRecovery(t.Context(), storage.Recovery{Account: firstAccount, Verifier: []byte("v"), Sealed: []byte("s")}))
	must(t, s.CountRecoveryTry(t.Context(), storage.RecoverySubject{1}, today))
	must(t, s.PutPush(t.Context(), one.ID, []byte("sealed")))
	equal(t, "push registration", registered(t, s, one.Queue), "sealed")
	must(t, s.PutEndpoint(t.Context(), newEndpoint(1, 5, 1)))
	equal(t, "endpoint", endpoint(t, s, 1, today), "record 5 of 1")
	deliverSealed(t, s, newDelivery(one.Queue, "sealed"))
	expireAll(t, s, today.Add(100*day), 100)
	equal(t, "gone blobs", len(goneNames(t, s, today.Add(100*day))), 1)
	equal(t, "after expiry", texts(t, s, two.Queue), "")
	addDevice(t, s, firstAccount)
	_, err = s.CreateAccount(t.Context(), func() storage.NewAccount { n := newAccount("ben"); n.Now = today.Add(time.Hour); return n }())
	must(t, err)
}
