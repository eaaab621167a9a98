package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy is a load balancer of somebody else in front of a deployment.
type proxy struct {
	*process

	name string
	url  string
}

// kinds are the proxies that deploy/ has a file for.
var kinds = []string{"nginx", "haproxy", "caddy"}

// ours returns the file in deploy/ as somebody would use it: with addresses of their own, no more connections than a small machine
// allows, and nothing else.
func (d *deployment) ours(t *testing.T, kind, port string) string {
	t.Helper()
	name := map[string]string{"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile"}[kind]
	content, err := os.ReadFile("../deploy/" + name)
	require.NoError(t, err)
	second := freePort() // Caddy's
	replaced := []string{
		"127.0.0.1:8079", "127.0.0.1:" + second, "\n:8079 {", "\n:" + second + " {", "node1:8080", strings.TrimPrefix(d.node(0).url, "http://"), "node2:8080", strings.TrimPrefix(d.node(1).url, "http://"),
		"maxconn 40000", "maxconn 1000", "worker_connections 16384", "worker_connections 1000",
		"listen 80;", "listen 127.0.0.1:" + port + ";", "bind :80\n", "bind 127.0.0.1:" + port + "\n", "\n:80 {", "\n:" + port + " {\n\tbind 127.0.0.1",
	}
	return strings.NewReplacer(replaced...).Replace(string(content))
}

// stock returns a file with what nobody could do without, and of all else what the proxy or Debian's package does by itself.
func (d *deployment) stock(kind, port, more string) string {
	node := strings.TrimPrefix(d.node(0).url, "http://")
	switch kind {
	case "nginx":
		return fmt.Sprintf("events {}\nhttp {\n\tgzip on;\n\tgzip_types *;\n\tserver {\n\t\tlisten 127.0.0.1:%s;\n\t\tlocation / { proxy_pass http://%s; %s }\n\t}\n}\n", port, node, more)
	case "haproxy":
		return fmt.Sprintf("defaults\n\tmode http\n\ttimeout connect 5000\n\ttimeout client 50000\n\ttimeout server 50000\n%s\nlisten web\n\tbind 127.0.0.1:%s\n\tserver node %s\n", more, port, node)
	default:
		return fmt.Sprintf("http://127.0.0.1:%s {\n\tencode gzip\n\treverse_proxy %s\n}\n", port, node)
	}
}

// startProxy runs a proxy with the file that config returns for its port.
func startProxy(t *testing.T, kind string, config func(port string) string) *proxy {
	t.Helper()
	path, dir, port := program(t, kind+"="+kind), t.TempDir(), freePort()
	require.NoError(t, os.Chmod(dir, 0o755))
	p := &proxy{name: kind, url: "http://127.0.0.1:" + port}
	text, file := config(port), filepath.Join(dir, "config")
	args, env := []string{"-f", file, "-db"}, map[string]string{"HOME": dir, "XDG_CONFIG_HOME": dir, "XDG_DATA_HOME": dir}
	switch kind {
	case "nginx":
		// One process, so that none is left behind when the test is killed; and nothing outside of the folder.
		args = []string{"-p", dir, "-c", file, "-e", "stderr", "-g", "daemon off; master_process off; pid nginx.pid;"}
		temporary := "http {\n"
		for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			temporary += what + "_temp_path " + filepath.Join(dir, what) + ";\n"
		}
		text = strings.Replace(text, "http {\n", temporary, 1)
	case "caddy":
		args = []string{"run", "--adapter", "caddyfile", "--config", file}
		text = "{\n\tadmin off\n\tauto_https off\n}\n" + text
	}
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	said := &log{}
	var err error
	p.process, err = startProcess(said, env, path, args...)
	require.NoError(t, err)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s\nwith\n%s", kind, said.tail(), text)
		}
	})
	eventually(t, kind+" passes a node's answer on", func() bool {
		select {
		case <-p.ended:
			require.FailNow(t, kind+" has ended", "%s\n%s", said.tail(), text)
		default:
		}
		response, err := http.Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return p
}

// from returns a client whose connections come from another address of this machine.
func from(t *testing.T, address string) *http.Client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// through returns the same session, asking through the proxy.
func (p *person) through(b *proxy) *person {
	p.t.Helper()
	through := &deployment{backend: p.d.backend, nodes: []*node{{url: b.url}}, doc: p.d.doc, router: p.d.router}
	other := *p
	other.d = through
	return other.at(0)
}
