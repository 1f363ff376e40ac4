package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"quicprochat/server/backup"
	"quicprochat/server/config"
)

// lockFlags say how to encrypt a backup.
type lockFlags struct {
	EncryptTo      []string `placeholder:"KEY" help:"Encrypt to a public key of age's (age1...), so that the passphrase need not be on this machine. May be repeated."`
	PassphraseFile string   `type:"existingfile" placeholder:"FILE" help:"Encrypt under the passphrase in this file."`
}

func (f lockFlags) lock() (backup.Lock, error) {
	switch {
	case len(f.EncryptTo) > 0 && f.PassphraseFile != "":
		return backup.Lock{}, errors.New("choose one of --encrypt-to and --passphrase-file")
	case f.PassphraseFile == "":
		return backup.LockTo(f.EncryptTo)
	}
	passphrase, err := readPassphrase(f.PassphraseFile)
	if err != nil {
		return backup.Lock{}, err
	}
	return backup.LockWith(passphrase)
}

func readPassphrase(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return "", fmt.Errorf("%s has no passphrase in its first line", path)
	}
	return line, nil
}

// keyFlags say how to open an encrypted backup.
type keyFlags struct {
	PassphraseFile string `type:"existingfile" placeholder:"FILE" help:"Open an encrypted backup with the passphrase in this file."`
	Identity       string `type:"existingfile" placeholder:"FILE" help:"Open an encrypted backup with this key file of age's."`
}

func (f keyFlags) keys() (backup.Keys, error) {
	switch {
	case f.Identity != "":
		file, err := os.Open(f.Identity)
		if err != nil {
			return backup.Keys{}, err
		}
		defer file.Close()
		return backup.KeysIn(file)
	case f.PassphraseFile != "":
		passphrase, err := readPassphrase(f.PassphraseFile)
		if err != nil {
			return backup.Keys{}, err
		}
		return backup.KeysWith(passphrase)
	}
	return backup.Keys{}, nil
}

// open opens a backup for reading.
func (f keyFlags) open(path string) (io.Reader, io.Closer, error) {
	keys, err := f.keys()
	if err != nil {
		return nil, nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	r, err := keys.Open(file)
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return r, file, nil
}

type backupCmd struct {
	settings
	lockFlags
	File     string `arg:"" type:"path" placeholder:"FILE" help:"File to write, or a folder to write one with the date in its name to."`
	KeysOnly bool   `help:"Only the keys, the certificate and the configuration: what a further server on the same database needs."`
}

// Run writes a backup while the server runs, or does not.
func (cmd *backupCmd) Run(c *console) error {
	cfg, err := cmd.loadExisting(c.environ)
	if err != nil {
		return err
	}
	lock, err := cmd.lock()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	path := cmd.path(time.Now())
	source := backup.Source{Config: cfg, ConfigFile: cmd.configPath(), TempDir: cmd.tempDir(cfg, path), KeysOnly: cmd.KeysOnly, Now: time.Now()}
	var summary backup.Summary
	err = backup.ToFile(path, func(w io.Writer) error {
		return lock.Write(w, func(w io.Writer) (err error) {
			summary, err = backup.Write(ctx, w, source)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("no backup was made: %w", err)
	}
	cmd.tell(c, path, summary)
	return nil
}

// encrypted tells whether the backup will be.
func (cmd *backupCmd) encrypted() bool {
	return len(cmd.EncryptTo) > 0 || cmd.lockFlags.PassphraseFile != ""
}

// tempDir is where the copy of the database lies meanwhile. Where an encrypted
// backup goes, there may be others who must not see it: a disk that is taken
// along, or a machine of somebody else's.
func (cmd *backupCmd) tempDir(cfg config.Config, path string) string {
	if cmd.encrypted() {
		return cfg.DataDir
	}
	return filepath.Dir(path)
}

// path is the file to write: cmd.File, or a name with the time in that folder.
func (cmd *backupCmd) path(now time.Time) string {
	if info, err := os.Stat(cmd.File); err != nil || !info.IsDir() {
		return cmd.File
	}
	name := "qpc-" + now.UTC().Format("20060102T150405Z") + ".tar"
	if cmd.encrypted() {
		name += ".age"
	}
	return filepath.Join(cmd.File, name)
}

func (cmd *backupCmd) tell(c *console, path string, s backup.Summary) {
	fmt.Fprintf(c.out, "Backup: %s\n%d files, %s, of them %d pieces of files that people sent.\n", path, s.Files, size(s.Bytes), s.Objects)
	if !cmd.encrypted() {
		fmt.Fprintln(c.out, "It holds the server's keys and is not encrypted: keep it where only you can read it.")
	}
	if s.Bucket && !s.KeysOnly {
		fmt.Fprintln(c.out, "The files that people sent lie in a bucket (blob_url) and are not in it: keep versions of the bucket for as long as you keep backups.")
	}
	if s.PostgreSQL && !s.KeysOnly {
		fmt.Fprintln(c.out, "The PostgreSQL database is in it as a file; after a restore, \"qpc-server migrate-store\" moves it into an empty database.")
	}
}

type restoreCmd struct {
	settings
	keyFlags
	File  string `arg:"" type:"path" placeholder:"FILE" help:"Backup to bring back."`
	Force bool   `help:"Bring back what does not fit together, too."`
}

// Run brings a backup back into an empty folder, and its configuration where
// there is none.
func (cmd *restoreCmd) Run(c *console) error {
	r, file, err := cmd.open(cmd.File)
	if err != nil {
		return err
	}
	defer file.Close()
	dir := cmd.DataDir
	if dir == "" {
		dir = defaultDataDir()
	}
	ctx, stop := interruptible()
	defer stop()
	restored, err := backup.Restore(ctx, r, dir, cmd.Force)
	if errors.Is(err, backup.ErrUnsound) {
		err = fmt.Errorf("%w. Try an older backup, or --force to bring it back as it is", err)
	}
	if err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	fmt.Fprintf(c.out, "Keys and data: %s (%d files, %s, as of %s)\n", dir, restored.Files, size(restored.Bytes), restored.Day)
	if err := cmd.restoreConfig(c, dir, restored); err != nil {
		return err
	}
	if !restored.KeysOnly {
		fmt.Fprint(c.out, afterRestore)
	}
	if restored.PostgreSQL && !restored.KeysOnly {
		fmt.Fprintln(c.out, "\nThe database was a PostgreSQL one and is a file now. Move it into an empty database before the start: \"qpc-server migrate-store\". Or clear store.url to stay with the file.")
	}
	if restored.Bucket && !restored.KeysOnly {
		fmt.Fprintln(c.out, "\nThe files that people sent are in the bucket of blob_url, as it is now. \"qpc-server verify\" says which are missing.")
	}
	return nil
}

const afterRestore = `
What a restored server has forgotten, and what to do:
  * Messages that came after the backup and were not fetched are lost. Some from before it
    may be delivered again; apps know them and show them once.
  * Accounts, devices and groups that are newer are gone: people register and enrol again.
  * Devices that were revoked, accounts that were deleted or banned and invites that were
    used up or revoked since are back: do it again.
  * Groups in which somebody came, went or changed keys since are ahead of the server: their
    apps rejoin, or members make the group anew.
  * KeyPackages for first contact were withdrawn, since the backup cannot know which were
    given out; devices upload new ones when they connect.
Never run it beside the server that the backup is from.
`

var dataDirLine = regexp.MustCompile(`(?m)^data_dir[ \t]*=.*$`)

// restoreConfig writes the configuration where there is none, for the folder
// that the data is in now.
func (cmd *restoreCmd) restoreConfig(c *console, dir string, restored backup.Restored) error {
	path := cmd.Config
	if path == "" {
		path = defaultConfigPath()
	}
	if restored.Config == nil {
		fmt.Fprintln(c.out, "The backup has no configuration: give data_dir by QPC_DATA_DIR or --data-dir.")
		return nil
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	text := dataDirLine.ReplaceAllLiteral(restored.Config, []byte("data_dir = "+strconv.Quote(absolute)))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	err = writeNew(path, text, 0o600)
	if errors.Is(err, os.ErrExist) {
		fmt.Fprintf(c.out, "Configuration: %s was there already and is as it was; see that its data_dir is %s\n", path, absolute)
		return nil
	}
	if err != nil {
		return fmt.Errorf("the data is restored, the configuration could not be written: %w", err)
	}
	fmt.Fprintf(c.out, "Configuration: %s (only you can read it; where the server runs as another user, let that one read it)\nLook it over with: qpc-server check --config %s\n", path, path)
	return nil
}

// interruptible is a context that Ctrl-C ends, so that nothing half done stays.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}

// size writes bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}

// loadExisting is load for a server that was set up.
func (s settings) loadExisting(environ []string) (config.Config, error) {
	cfg, err := s.load(environ)
	if err == nil && !isSetUp(cfg) {
		err = fmt.Errorf("there is no server in %s: set one up with \"qpc-server quickstart\", or name its folder", cfg.DataDir)
	}
	return cfg, err
}
