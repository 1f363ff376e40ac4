package server

import (
	"crypto/sha256"
	"runtime"
	"testing"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// Where a server may keep what it must know, as docs/threat-model.md says of a
// stolen database. Everything else that a person uses is nowhere, and nothing is
// anywhere else, in no spelling.
var (
	nameColumns    = []string{"accounts.name"} // look-ups are by name
	accountColumns = []string{
		"accounts.id", "devices.account", "revoked_devices.account",
		"account_vaults.account", "recovery_bundles.account",
		"bans.account", // who is banned is no secret of the database's
		// credentials that others check
		"devices.certificate", "key_packages.data", "last_resort_key_packages.data",
	}
	accountKeyColumns  = []string{"accounts.public_key", "devices.certificate", "key_packages.data", "last_resort_key_packages.data"}
	recordColumns      = []string{"accounts.record"}     // to be guessed at with the key file only
	sealedKeyColumns   = []string{"accounts.sealed_key"} // opens with the password
	certificateColumns = []string{"devices.certificate", "key_packages.data", "last_resort_key_packages.data"}
	deviceColumns      = []string{"devices.id", "revoked_devices.id"}
	queueColumns       = []string{"queues.id"}
	channelColumns     = []string{"channels.id"}
	itemColumns        = []string{"channel_items.item", "channel_winners.item"} // to know a repetition
	addressColumns     = []string{"channel_addresses.address", "key_packages.data", "last_resort_key_packages.data"}
	blobColumns        = []string{"blobs.name", "blob_chunks.blob"}
	vaultColumns       = []string{"account_vaults.sealed"}     // opens with the account key
	verifierColumns    = []string{"recovery_bundles.verifier"} // a public key, to check proofs with
	bundleColumns      = []string{"recovery_bundles.sealed"}   // opens with the recovery code
	inviteColumns      = []string{"invites.hash"}              // the token has 32 random bytes
	hostColumns        = []string{"endpoints.record"}          // to be told to whoever asks with the pin
	pinColumns         = []string{"endpoints.pin"}
)

// uncalled are the methods that the chat leaves out, with the reason.
var uncalled = map[string]string{}

// long is a chat in which every call of the catalogue is made.
type long struct {
	*chat
	hidden []*hidden
}

// forLongChat lets a push service on this machine be used. Where the system can,
// the server has an address that no client has, so that a client's can be told
// from its own.
func forLongChat(c *Config) {
	withLoopbackPush(c)
	if runtime.GOOS == "linux" {
		c.Listen, c.PublicHost = "127.0.0.3:0", "127.0.0.3"
	}
}

// runLongChat does everything that a server offers, what ends something last.
// Whoever adds a method adds it here, and what it leaves behind to the lists
// above.
func runLongChat(t *testing.T, f *fixture) *long {
	t.Helper()
	l := &long{chat: runChat(t, f)}
	dave := f.register("dave-in-logs")
	laptop := l.enrolLaptop(dave)
	l.uploadKeys(laptop)
	must[qpcv1.ListDevicesResponse](laptop.conn, &qpcv1.ListDevicesRequest{})
	must[qpcv1.ResolveUserResponse](l.room.anon, &qpcv1.ResolveUserRequest{Name: dave.name})
	must[qpcv1.ResolveAccountResponse](l.room.anon, &qpcv1.ResolveAccountRequest{AccountId: dave.person.id[:]})
	l.readAndReconnect(dave)
	l.hidePeople(dave, laptop, l.alice, l.bob)
	l.invite()
	l.post()
	l.payWithTokens(laptop)
	l.wake(laptop)
	l.leaveWord()
	l.useAccount()
	l.recover()
	l.moderate()

	l.revoke(dave, laptop)
	l.deleteRoom()
	l.deleteAccount()
	must[qpcv1.HealthResponse](l.room.anon, &qpcv1.HealthRequest{})
	must[qpcv1.InfoResponse](l.room.anon, &qpcv1.InfoRequest{})
	l.hideChat()
	return l
}

// enrolLaptop gives dave a second device, by his password.
func (l *long) enrolLaptop(dave *member) *member {
	f := l.f
	f.t.Helper()
	laptop := f.newDevice(dave.person)
	laptop.conn = f.dial()
	if _, err := f.tryLogin(laptop.conn, dave.name, dave.password); err != nil {
		f.t.Fatal(err)
	}
	must[qpcv1.EnrolDeviceResponse](laptop.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: laptop.cert.Raw})
	if err := laptop.authenticate(laptop.conn); err != nil {
		f.t.Fatal(err)
	}
	l.hide("a certificate", laptop.cert.Raw, certificateColumns)
	return laptop
}

// uploadKeys uploads KeyPackages, of which one is fetched and two stay.
func (l *long) uploadKeys(d *member) {
	t := l.f.t
	t.Helper()
	d.uploadHybrid()
	leaves := [3]*leaf{d.leaf(), d.leaf(), d.leaf()}
	leaves[2].LastResort = true
	var packages [3][]byte
	for i, leaf := range leaves {
		packages[i] = leaf.keyPackage(t)
		l.hide("an address", leaf.state.QueueAddress, addressColumns)
	}
	must[qpcv1.UploadKeyPackagesResponse](d.conn, &qpcv1.UploadKeyPackagesRequest{KeyPackages: packages[:2], LastResort: packages[2]})
	must[qpcv1.CountKeyPackagesResponse](d.conn, &qpcv1.CountKeyPackagesRequest{})
	must[qpcv1.FetchKeyPackageResponse](l.f.dial(), &qpcv1.FetchKeyPackageRequest{AccountId: d.person.id[:]})
	must[qpcv1.FetchHybridKeyResponse](l.f.dial(), &qpcv1.FetchHybridKeyRequest{AccountId: d.person.id[:], DeviceId: d.id[:]})
}

// readAndReconnect reads queues and proves a device again.
func (l *long) readAndReconnect(dave *member) {
	must[qpcv1.FetchResponse](l.bob.conn, &qpcv1.FetchRequest{})
	must[qpcv1.AckResponse](l.bob.conn, &qpcv1.AckRequest{UpToSeq: 3})
	must[qpcv1.PeekResponse](l.bob.conn, &qpcv1.PeekRequest{})
	l.f.reconnect(dave)
}

// invite registers with an invite that can be used again.
func (l *long) invite() {
	l.f.t.Helper()
	token := l.f.invite(2, time.Hour)
	if _, err := l.f.tryRegister("heidi-in-logs", goodPassword, token); err != nil {
		l.f.t.Fatal(err)
	}
	hash := sha256.Sum256(token)
	l.hide("an invite's token", token, nil)
	l.hide("an invite's hash", hash[:], inviteColumns)
	l.hide("a password", []byte(goodPassword), nil)
}

// post posts several messages at once.
func (l *long) post() {
	l.f.t.Helper()
	var posts []*qpcv1.PostRequest
	for _, text := range []string{"the first of a batch", "the second of a batch"} {
		body := l.room.postBody([]byte(text))
		l.items, l.messages = append(l.items, body.ItemId), append(l.messages, []byte(text))
		posts = append(posts, l.room.postRequest(body, l.room.keys[l.room.epoch]))
	}
	for _, o := range must[qpcv1.BatchPostResponse](l.room.anon, batchOf(posts...)).Outcomes {
		if o.GetPosted() == nil {
			l.f.t.Fatal(o)
		}
	}
}

func (l *long) revoke(dave, by *member) {
	t := l.f.t
	t.Helper()
	revoked, err := l.f.store.Device(t.Context(), dave.person.id, dave.id)
	if err != nil {
		t.Fatal(err)
	}
	l.hideDeleted("a revoked device's queue", revoked.Queue[:])
	l.hideDeleted("a revoked device's certificate", dave.cert.Raw)
	must[qpcv1.RevokeDeviceResponse](by.conn, &qpcv1.RevokeDeviceRequest{DeviceId: dave.id[:]})
}

func (l *long) deleteRoom() {
	l.f.t.Helper()
	gone := newRoom(l.f, l.alice)
	l.items = append(l.items, gone.post([]byte("a message in a room that is deleted")))
	must[qpcv1.GetChannelResponse](gone.anon, gone.getRequest(0, gone.keys[0]))
	must[qpcv1.DeleteChannelResponse](gone.anon, gone.deleteRequest(0, gone.keys[0]))
	l.hideDeleted("a deleted channel's id", gone.id)
	l.hideDeleted("a deleted channel's address", gone.addresses[0])
	l.hide("a message", []byte("a message in a room that is deleted"), nil)
}

func (l *long) hide(what string, value []byte, columns []string) {
	l.hidden = append(l.hidden, &hidden{what: what, value: value, columns: columns})
}

func (l *long) hideDeleted(what string, value []byte) {
	l.hidden = append(l.hidden, &hidden{what: what, value: value, deleted: true})
}

func (l *long) hidePeople(members ...*member) {
	for _, m := range members {
		l.hide("an account's name", []byte(m.name), nameColumns)
		l.hide("an account's id", m.person.id[:], accountColumns)
		l.hide("an account's key", m.key.Public(), accountKeyColumns)
		l.hide("a device's id", m.id[:], deviceColumns)
		l.hide("a password", []byte(m.password), nil)
	}
}

func (l *long) hideChat() {
	for _, queue := range l.queues {
		l.hide("a queue's id", queue, queueColumns)
	}
	l.hide("a channel's id", l.room.id, channelColumns)
	for _, item := range l.items {
		l.hide("an item's id", item, itemColumns)
	}
	for _, address := range l.room.addresses {
		l.hide("an address", address, addressColumns)
	}
	for _, message := range l.messages {
		l.hide("a message", message, nil)
	}
	for _, u := range l.blobs {
		name := u.name()
		l.hide("a blob's secret", u.secret, nil)
		l.hide("a blob's id", u.id, nil)
		l.hide("a blob's name", name[:], blobColumns)
	}
}
