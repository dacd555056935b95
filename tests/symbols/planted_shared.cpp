// The faults of this library: it exports what the interface does not have, and needs another library.
int planted_global_definition();

extern "C" int planted_export();
extern "C" int planted_export() {
    return planted_global_definition();
}
