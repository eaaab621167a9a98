package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// asset is a file as it is sent. The tags are made of the content, so that asking again costs an answer without a body.
type asset struct {
	contentType string
	plain, gz   []byte // gz is nil where compressing does not pay
	tag         string
}

// assets serves files from memory: all are known when the program starts, and they never change.
type assets map[string]asset

// compressible says of which files a smaller form is kept; pictures are compressed already.
func compressible(contentType string) bool {
	return strings.HasPrefix(contentType, "text/") || strings.HasPrefix(contentType, "image/svg") || strings.HasPrefix(contentType, "application/json")
}

// typeOfFile does not ask the system for what a page is made of: some have strange ideas, such as that .d.ts is a video.
func typeOfFile(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json", ".map":
		return "application/json"
	case ".png", ".ico", ".woff2":
		return mime.TypeByExtension(path.Ext(name))
	default:
		return "text/plain; charset=utf-8"
	}
}

// newAssets reads all files of a file system. An index.html is also what its folder is answered with.
func newAssets(files fs.FS) (assets, error) {
	all := assets{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		one, err := newAsset(name, content)
		if err != nil {
			return err
		}
		all["/"+name] = one
		if name == "index.html" {
			all["/"] = one
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("embedded pages: %w", err)
	}
	return all, nil
}

func newAsset(name string, content []byte) (asset, error) {
	sum := sha256.Sum256(content)
	one := asset{contentType: typeOfFile(name), plain: content, tag: base64.RawURLEncoding.EncodeToString(sum[:12])}
	if !compressible(one.contentType) {
		return one, nil
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return asset{}, err
	}
	if _, err := w.Write(content); err != nil {
		return asset{}, err
	}
	if err := w.Close(); err != nil {
		return asset{}, err
	}
	if out.Len() < len(content)*9/10 {
		one.gz = out.Bytes()
	}
	return one, nil
}

// ServeHTTP answers with the file at a path.
func (a assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	one, known := a[r.URL.Path]
	if !known {
		http.NotFound(w, r)
		return
	}
	one.ServeHTTP(w, r)
}

// ServeHTTP answers with the file, in the form that the client takes.
func (a asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	body, tag := a.plain, a.tag
	if a.gz != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			body, tag = a.gz, a.tag+"-gzip" // another form has another name, as a cache between must not mix them
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip says whether a client takes gzip. A weight of nothing means that it does not.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			weight = strings.ReplaceAll(weight, " ", "")
			return strings.Trim(strings.TrimPrefix(weight, "q="), "0.") != "" || weight == ""
		}
	}
	return false
}

// paths lists where something is served, as paths to be routed.
func paths() []string {
	all := slices.AppendSeq([]string{"/"}, maps.Keys(docsFiles))
	err := fs.WalkDir(files, "static", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			all = append(all, strings.TrimPrefix(name, "static"))
		}
		return err
	})
	if err != nil {
		panic("embedded pages: " + err.Error()) // what is in the binary can be read
	}
	slices.Sort(all)
	return slices.Compact(all)
}
