package stats

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"quicprochat/server/config"
	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres"
	"quicprochat/server/storage/postgres/postgrestest"
	"quicprochat/server/storage/sqlite"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

var today = time.Date(2026, 5, 4, 15, 30, 20, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// live puts something of everything into a store.
func live(t *testing.T, s storage.Store) {
	t.Helper()
	var addresses [][]byte
	for i := range byte(3) {
		d, err := s.CreateAccount(t.Context(), storage.NewAccount{ID: [16]byte{i}, Name: fmt.Sprint(i), DeviceID: [16]byte{i}, Now: today.Add(-time.Duration(i) * 12 * time.Hour)})
		must(t, err)
		addresses = append(addresses, d.Queue[:])
	}
	_, err := s.AddDevice(t.Context(), storage.NewDevice{Account: [16]byte{1}, ID: [16]byte{8}, Now: today.Add(-40 * 24 * time.Hour)})
	must(t, err)
	must(t, s.CreateChannel(t.Context(), storage.NewChannel{ID: storage.ChannelID{1}, VerifyKey: []byte("k"), Addresses: addresses, Now: today.Add(-30 * 24 * time.Hour)}))
	must(t, s.CreateChannel(t.Context(), storage.NewChannel{ID: storage.ChannelID{2}, VerifyKey: []byte("k"), Addresses: addresses, Now: today}))
	for i := range byte(2) {
		_, err = s.Post(t.Context(), storage.Post{
			Channel: storage.ChannelID{2}, Item: storage.ItemID{i}, Now: today,
			Resolve: func(a []byte) (storage.QueueID, bool) {
				return storage.QueueID(a), a[0] != addresses[0][0] || a[1] != addresses[0][1]
			},
			Seal: func(storage.QueueID, uint64, uint64) ([]byte, error) { return make([]byte, 100), nil },
		})
		must(t, err)
	}
	must(t, s.CreateInvite(t.Context(), storage.Invite{Hash: storage.InviteHash{1}, Uses: 1, Expires: today.Add(time.Hour)}))
	must(t, s.CreateInvite(t.Context(), storage.Invite{Hash: storage.InviteHash{2}, Uses: 1, Expires: today}))
	for i := range byte(3) {
		_, err := s.CreateBlob(t.Context(), storage.NewBlob{Name: storage.BlobName{i}, Size: 1000, ChunkSize: 1000, Now: today})
		must(t, err)
	}
	chunk := storage.BlobChunk{Name: storage.BlobName{1}, Now: today}
	_, err = s.BeginChunk(t.Context(), chunk)
	must(t, err)
	must(t, s.StoredChunk(t.Context(), chunk))
	_, err = s.FinishBlob(t.Context(), storage.BlobName{1}, [32]byte{}, today)
	must(t, err)
}

func TestCollect(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (config.Config, storage.Store){
		"sqlite": func(t *testing.T) (config.Config, storage.Store) {
			cfg := config.Default()
			cfg.DataDir = t.TempDir()
			s, err := sqlite.Open(t.Context(), filepath.Join(cfg.DataDir, "server.db"), storage.DefaultLimits())
			must(t, err)
			return cfg, s
		},
		"postgres": func(t *testing.T) (config.Config, storage.Store) {
			url, err := postgrestest.Shared(t).NewDatabase(t.Context())
			must(t, err)
			cfg := config.Default()
			cfg.Store.URL = storage.URL(url)
			s, err := postgres.Open(t.Context(), postgres.Options{URL: cfg.Store.URL, Limits: storage.DefaultLimits()})
			must(t, err)
			return cfg, s
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, s := open(t)
			defer s.Close()
			live(t, s)
			got, err := Collect(t.Context(), cfg, today)
			must(t, err)
			if got.DatabaseBytes < 10_000 {
				t.Errorf("database of %d bytes", got.DatabaseBytes)
			}
			if len(got.Days) != days {
				t.Fatalf("%d days", len(got.Days))
			}
			last := got.Days[days-2:]
			want := []Day{
				{time.Date(2026, 5, 3, 0, 0, 0, 0, time.UTC), 1, 1, 0},
				{time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC), 2, 2, 1},
			}
			if !reflect.DeepEqual(last, want) {
				t.Errorf("days %+v, want %+v", last, want)
			}
			got.Days, got.DatabaseBytes = nil, 0
			all := Stats{Accounts: 3, Devices: 4, Channels: 2, Queues: 2, Items: 4, ItemBytes: 400, Blobs: 1, BlobBytes: 1000, Uploads: 2, Invites: 1}
			if !reflect.DeepEqual(got, all) {
				t.Errorf("got %+v, want %+v", got, all)
			}
		})
	}
}

func TestCollectFails(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	if _, err := Collect(t.Context(), cfg, today); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	cfg.Store.URL = "postgres://qpc@127.0.0.1:1/qpc"
	if _, err := Collect(t.Context(), cfg, today); err == nil {
		t.Error("counted a database that is not there")
	}
}
