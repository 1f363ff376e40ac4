// Package postgrestest runs a PostgreSQL for tests: a cluster of its own in a
// temporary folder, reached through a socket in that folder, stopped and
// removed when the tests end, and gone with the test's process however that
// ends.
//
// It takes the binaries that it finds on the path or where Debian's package
// postgresql-15 and others put them. Where there are none, tests are skipped
// and say so.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrMissing: PostgreSQL's server is not installed.
var ErrMissing = errors.New("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")

// LockedUser is a role whose password, "right", is asked for. The role "qpc",
// which owns everything, needs none.
const LockedUser = "locked"

// startTime bounds what starting and stopping may take.
const startTime = 60 * time.Second

// Cluster is a PostgreSQL that runs.
type Cluster struct {
	bin  string
	dir  string // holds data, socket and log
	cred *syscall.SysProcAttr

	mu      sync.Mutex
	server  *exec.Cmd
	exited  chan struct{}
	started int // databases
}

// settings keep the promise of durability and make starting fast.
const settings = `
listen_addresses = ''
unix_socket_directories = '%s'
max_connections = 200
shared_buffers = 64MB
fsync = on
synchronous_commit = on
log_min_messages = warning
max_wal_size = 512MB
dynamic_shared_memory_type = mmap
`

// rules of access. Only this user reaches the socket.
const rules = `
local all ` + LockedUser + ` scram-sha-256
local all all trust
`

// Start makes a cluster and runs it. ErrMissing.
func Start() (c *Cluster, err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	sweep()
	dir, err := os.MkdirTemp(folder(), folderPrefix)
	if err != nil {
		return nil, err
	}
	c = &Cluster{bin: bin, dir: dir}
	if c.cred, err = unprivileged(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := c.create(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := c.Run(); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// FolderVariable, in the environment, names the folder in which clusters are
// made, such as one on a disk for measurements.
const FolderVariable = "QPC_TEST_POSTGRES_DIR"

// memory is a file system in memory, where there is one: a sync costs nothing
// there, and no test cuts the power.
const memory = "/dev/shm"

func folder() string {
	if dir := os.Getenv(FolderVariable); dir != "" {
		return dir
	}
	if hasSpace(memory) {
		return memory
	}
	return os.TempDir()
}

func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", ErrMissing
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// Data is the folder with the cluster's files.
func (c *Cluster) Data() string { return filepath.Join(c.dir, "data") }

// create makes the cluster's files.
func (c *Cluster) create() error {
	if err := own(c.dir, c.cred); err != nil {
		return err
	}
	cmd := c.command("initdb", "-D", c.Data(), "-U", "qpc", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	for name, text := range map[string]string{
		"postgresql.auto.conf": fmt.Sprintf(settings, c.dir),
		"pg_hba.conf":          rules,
	} {
		path := filepath.Join(c.Data(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
		if err := own(path, c.cred); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = c.cred
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd
}

// Run starts a cluster that was stopped, and waits until it answers.
func (c *Cluster) Run() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c.server = c.command("postgres", "-D", c.Data())
	c.server.Stdout, c.server.Stderr = log, log
	c.exited = make(chan struct{})
	started := make(chan error)
	go func(cmd *exec.Cmd, exited chan struct{}) {
		// The parent's death is that of the thread which started the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(exited)
	}(c.server, c.exited)
	if err := <-started; err != nil {
		return err
	}
	return c.waitUntilReady()
}

func (c *Cluster) waitUntilReady() error {
	for deadline := time.Now().Add(startTime); ; {
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		conn, err := pgx.Connect(ctx, c.url("postgres"))
		if err == nil {
			err = conn.Close(ctx)
		}
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-c.exited:
			return fmt.Errorf("PostgreSQL ended by itself:\n%s", c.Log())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, c.Log())
		}
	}
}

// Log is what PostgreSQL had to say.
func (c *Cluster) Log() string {
	text, _ := os.ReadFile(filepath.Join(c.dir, "log"))
	return string(bytes.TrimSpace(text))
}

// Kill stops PostgreSQL at once, as a crash would, and leaves the files.
func (c *Cluster) Kill() error { return c.end(syscall.SIGQUIT) }

// Stop ends PostgreSQL and removes everything.
func (c *Cluster) Stop() error {
	return errors.Join(c.end(syscall.SIGINT), os.RemoveAll(c.dir))
}

func (c *Cluster) end(how syscall.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil || c.server.Process == nil {
		return nil
	}
	_ = c.server.Process.Signal(how) // fails where it has ended
	select {
	case <-c.exited:
		return nil
	case <-time.After(startTime):
		err := c.server.Process.Kill()
		<-c.exited
		return errors.Join(errors.New("PostgreSQL did not stop and was killed"), err)
	}
}

func (c *Cluster) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("qpc"), Path: "/" + database}
	u.RawQuery = url.Values{"host": {c.dir}, "sslmode": {"disable"}}.Encode()
	return u.String()
}

// NewDatabase makes an empty database and gives its URL.
func (c *Cluster) NewDatabase(ctx context.Context) (string, error) {
	return c.CopyDatabase(ctx, "template0")
}

// CopyDatabase makes a database like another one, to which nobody may be
// connected, and gives its URL.
func (c *Cluster) CopyDatabase(ctx context.Context, template string) (string, error) {
	c.mu.Lock()
	c.started++
	name := fmt.Sprintf("test_%d", c.started)
	c.mu.Unlock()
	return c.url(name), c.Exec(ctx, "postgres", fmt.Sprintf(`CREATE DATABASE %s TEMPLATE %s`, name, template))
}

// Exec runs statements in a database.
func (c *Cluster) Exec(ctx context.Context, database, statements string) error {
	conn, err := pgx.Connect(ctx, c.url(database))
	if err != nil {
		return err
	}
	_, err = conn.PgConn().Exec(ctx, statements).ReadAll()
	return errors.Join(err, conn.Close(ctx))
}

// DatabaseName is the name in a URL.
func DatabaseName(u string) string {
	parsed, err := url.Parse(u)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(parsed.Path, "/")
}
