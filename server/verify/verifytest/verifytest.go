// Package verifytest makes data folders that hold something of everything, as
// a server would have left them.
package verifytest

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"quicprochat/core/wire"
	"quicprochat/server/address"
	"quicprochat/server/blob"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/sqlite"
)

// Today is when it all happened.
var Today = time.Date(2026, 5, 4, 15, 30, 20, 0, time.UTC)

// Limits are small, so that a queue overflows.
func Limits() storage.Limits {
	limits := storage.DefaultLimits()
	limits.QueueItems = 6
	return limits
}

// Folder makes a data folder with a SQLite file and blobs, and closes it.
func Folder(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	_, err := wire.LoadOrCreateCertificate(dir, nil)
	must(t, err)
	keys, err := secrets.Load(dir)
	must(t, err)
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, secrets.DatabaseName), Limits())
	must(t, err)
	folder, err := blob.OpenFolder(filepath.Join(dir, blob.FolderName))
	must(t, err)
	Fill(t, s, Sealer(keys), folder)
	must(t, s.Close())
	return dir
}

// Sealer is the one for the keys of a server.
func Sealer(keys *secrets.Secrets) *address.Sealer {
	return address.NewSealer(keys.Address, keys.Storage)
}

// Fill puts something of everything into an empty store, which must have
// Limits.
func Fill(t testing.TB, s storage.Store, sealer *address.Sealer, objects blob.Objects) {
	t.Helper()
	f := filler{t: t, store: s, sealer: sealer}
	f.people()
	f.talk()
	must(t, s.CreateInvite(t.Context(), storage.Invite{Hash: storage.InviteHash{1}, Uses: 3, Expires: Today.Add(time.Hour)}))
	for i, size := range []int64{1, 1000, 2500} {
		PutBlob(t, s, objects, byte(i+1), size)
	}
	must(t, s.DeleteBlob(t.Context(), storage.BlobName{1}))
}

type filler struct {
	t       testing.TB
	store   storage.Store
	sealer  *address.Sealer
	devices []storage.Device
}

func (f *filler) people() {
	f.t.Helper()
	ctx := f.t.Context()
	for i := range byte(4) {
		d, err := f.store.CreateAccount(ctx, storage.NewAccount{
			ID: [16]byte{'a', i}, Name: fmt.Sprint("person", i), Record: make([]byte, 192), PublicKey: make([]byte, 32), SealedKey: []byte("sealed"),
			DeviceID: [16]byte{'d', i}, DeviceCertificate: []byte("certificate"), Now: Today,
		})
		must(f.t, err)
		f.devices = append(f.devices, d)
		must(f.t, f.store.PutHybridKey(ctx, d.ID, []byte("hybrid key")))
		_, err = f.store.PutKeyPackages(ctx, storage.KeyPackageUpload{
			Device:    d.ID,
			SingleUse: []storage.KeyPackage{{Ref: []byte{1}, Data: []byte("one"), Expires: Today.Add(time.Hour)}, {Ref: []byte{2}, Data: []byte("two"), Expires: Today.Add(time.Hour)}},
			Now:       Today,
		})
		must(f.t, err)
	}
	must(f.t, f.store.RevokeDevice(ctx, [16]byte{'a', 3}, [16]byte{'d', 3}))
}

// talk fills one queue over its bound, empties one half and one wholly.
func (f *filler) talk() {
	f.t.Helper()
	ctx := f.t.Context()
	channel := storage.NewChannel{ID: storage.ChannelID{7}, Epoch: 3, VerifyKey: []byte("key 3"), Now: Today}
	for _, d := range f.devices {
		channel.Addresses = append(channel.Addresses, f.sealer.NewAddress(d.Queue))
	}
	must(f.t, f.store.CreateChannel(ctx, channel))
	for i := range byte(9) {
		if i%3 == 2 {
			_, err := f.store.Commit(ctx, storage.Commit{
				Channel: channel.ID, Epoch: 3 + uint64(i/3), Item: storage.ItemID{'c', i}, NextKey: []byte("next"), Resolve: f.resolve, Seal: f.seal(i), Now: Today,
			})
			must(f.t, err)
			continue
		}
		_, err := f.store.Post(ctx, storage.Post{
			Channel: channel.ID, Epoch: 3 + uint64(i/3), Item: storage.ItemID{'p', i}, Resolve: f.resolve, Seal: f.seal(i), Now: Today.Add(time.Duration(i) * 12 * time.Hour),
		})
		must(f.t, err)
	}
	must(f.t, f.store.AckItems(ctx, f.devices[0].Queue, 2))
	must(f.t, f.store.AckItems(ctx, f.devices[1].Queue, 9))
}

func (f *filler) resolve(address []byte) (storage.QueueID, bool) {
	queue, err := f.sealer.OpenAddress(address)
	return queue, err == nil
}

func (f *filler) seal(i byte) storage.SealFunc {
	return func(queue storage.QueueID, seq, _ uint64) ([]byte, error) {
		return f.sealer.SealItem(queue, seq, make([]byte, int(i)*10)), nil
	}
}

// PutBlob uploads a blob of so many bytes, in chunks of 1000.
func PutBlob(t testing.TB, s storage.Store, objects blob.Objects, name byte, size int64) {
	t.Helper()
	b, err := s.CreateBlob(t.Context(), storage.NewBlob{Name: storage.BlobName{name}, Size: size, ChunkSize: 1000, Now: Today})
	must(t, err)
	for i := range b.Chunks() {
		data := make([]byte, min(1000, size-int64(i)*1000))
		data[0] = name
		chunk := storage.BlobChunk{Name: b.Name, Number: i, Digest: sha256.Sum256(data), Now: Today}
		_, err := s.BeginChunk(t.Context(), chunk)
		must(t, err)
		must(t, objects.Write(t.Context(), blob.Key(b.Name, i), data))
		must(t, s.StoredChunk(t.Context(), chunk))
	}
	_, err = s.FinishBlob(t.Context(), b.Name, [32]byte{name}, Today)
	must(t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
