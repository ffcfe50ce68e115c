/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The part of UEFI that this port uses, with the names of the UEFI specification (section numbers
 * are those of version 2.10). Functions that neither the port nor its tests call are plain
 * pointers, which keep the layout of the structs.
 */
#ifndef QU_EFI_H
#define QU_EFI_H

#include <stddef.h>
#include <stdint.h>

/* 2.3 "Calling Conventions": on x86-64, UEFI uses that of Microsoft, not that of System V. */
#if defined(__x86_64__) && !defined(_WIN32)
#define EFIAPI __attribute__((ms_abi))
#else
#define EFIAPI
#endif

/* 2.3.1 "Data Types" */
typedef uintptr_t UINTN;
typedef UINTN EFI_STATUS;
typedef UINTN EFI_TPL;
typedef uint8_t BOOLEAN;
typedef uint16_t CHAR16;
typedef uint64_t EFI_LBA;
typedef uint64_t EFI_PHYSICAL_ADDRESS;
typedef void *EFI_HANDLE;

typedef struct {
	uint32_t Data1;
	uint16_t Data2;
	uint16_t Data3;
	uint8_t Data4[8];
} EFI_GUID;

/* Appendix D "Status Codes": errors have the top bit set. */
#define EFI_ERROR_BIT          ((UINTN)1 << (sizeof(UINTN) * 8u - 1u))
#define EFI_ERROR(status)      (((status)&EFI_ERROR_BIT) != 0u)
#define EFI_SUCCESS            ((EFI_STATUS)0)
#define EFI_LOAD_ERROR         (EFI_ERROR_BIT | 1u)
#define EFI_INVALID_PARAMETER  (EFI_ERROR_BIT | 2u)
#define EFI_BAD_BUFFER_SIZE    (EFI_ERROR_BIT | 4u)
#define EFI_BUFFER_TOO_SMALL   (EFI_ERROR_BIT | 5u)
#define EFI_DEVICE_ERROR       (EFI_ERROR_BIT | 7u)
#define EFI_WRITE_PROTECTED    (EFI_ERROR_BIT | 8u)
#define EFI_OUT_OF_RESOURCES   (EFI_ERROR_BIT | 9u)
#define EFI_VOLUME_FULL        (EFI_ERROR_BIT | 11u)
#define EFI_NO_MEDIA           (EFI_ERROR_BIT | 12u)
#define EFI_MEDIA_CHANGED      (EFI_ERROR_BIT | 13u)
#define EFI_NOT_FOUND          (EFI_ERROR_BIT | 14u)
#define EFI_ACCESS_DENIED      (EFI_ERROR_BIT | 15u)
#define EFI_SECURITY_VIOLATION (EFI_ERROR_BIT | 26u)

typedef struct {
	uint64_t Signature;
	uint32_t Revision;
	uint32_t HeaderSize;
	uint32_t CRC32;
	uint32_t Reserved;
} EFI_TABLE_HEADER;

/* 10.2 "EFI Device Path Protocol" */
typedef struct {
	uint8_t Type;
	uint8_t SubType;
	uint8_t Length[2];
} EFI_DEVICE_PATH_PROTOCOL;

enum {
	HARDWARE_DEVICE_PATH = 1,
	HW_VENDOR_DP = 4,
	MEDIA_DEVICE_PATH = 4,
	MEDIA_HARDDRIVE_DP = 1,
	MEDIA_FILEPATH_DP = 4,
	END_DEVICE_PATH_TYPE = 0x7f,
	END_ENTIRE_DEVICE_PATH_SUBTYPE = 0xff
};

#define EFI_DEVICE_PATH_PROTOCOL_GUID                                                              \
	{                                                                                          \
		0x09576e91, 0x6d3f, 0x11d2,                                                        \
		{                                                                                  \
			0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b                             \
		}                                                                                  \
	}

/* 12.4 "Simple Text Output Protocol" */
typedef struct EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL {
	void *Reset;
	EFI_STATUS(EFIAPI *OutputString)
	(struct EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *self, const CHAR16 *text);
} EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL;

/* 7 "Services - Boot Services" */
enum { TPL_APPLICATION = 4, TPL_CALLBACK = 8 };
enum { EfiBootServicesData = 4 };
enum { AllocateAnyPages = 0 };
enum { ByProtocol = 2 };
#define EFI_PAGE_SIZE 4096u

typedef struct {
	EFI_TABLE_HEADER Hdr;
	EFI_TPL(EFIAPI *RaiseTPL)(EFI_TPL tpl);
	void(EFIAPI *RestoreTPL)(EFI_TPL tpl);
	EFI_STATUS(EFIAPI *AllocatePages)
	(uint32_t type, uint32_t memory, UINTN n_pages, EFI_PHYSICAL_ADDRESS *address);
	EFI_STATUS(EFIAPI *FreePages)(EFI_PHYSICAL_ADDRESS address, UINTN n_pages);
	void *GetMemoryMap;
	EFI_STATUS(EFIAPI *AllocatePool)(uint32_t memory, UINTN len, void **buf);
	EFI_STATUS(EFIAPI *FreePool)(void *buf);
	void *CreateEvent, *SetTimer, *WaitForEvent, *SignalEvent, *CloseEvent, *CheckEvent;
	void *InstallProtocolInterface, *ReinstallProtocolInterface, *UninstallProtocolInterface;
	EFI_STATUS(EFIAPI *HandleProtocol)(EFI_HANDLE handle, const EFI_GUID *guid, void **to);
	void *Reserved, *RegisterProtocolNotify, *LocateHandle, *LocateDevicePath;
	void *InstallConfigurationTable;
	EFI_STATUS(EFIAPI *LoadImage)
	(BOOLEAN is_boot_policy, EFI_HANDLE parent, const EFI_DEVICE_PATH_PROTOCOL *path,
	 void *source, UINTN source_len, EFI_HANDLE *image);
	EFI_STATUS(EFIAPI *StartImage)(EFI_HANDLE image, UINTN *exit_data_len, CHAR16 **exit_data);
	void *Exit;
	EFI_STATUS(EFIAPI *UnloadImage)(EFI_HANDLE image);
	void *ExitBootServices, *GetNextMonotonicCount;
	EFI_STATUS(EFIAPI *Stall)(UINTN microseconds);
	void *SetWatchdogTimer;
	EFI_STATUS(EFIAPI *ConnectController)
	(EFI_HANDLE controller, EFI_HANDLE *drivers, EFI_DEVICE_PATH_PROTOCOL *rest,
	 BOOLEAN is_recursive);
	EFI_STATUS(EFIAPI *DisconnectController)
	(EFI_HANDLE controller, EFI_HANDLE driver, EFI_HANDLE child);
	void *OpenProtocol, *CloseProtocol, *OpenProtocolInformation, *ProtocolsPerHandle;
	EFI_STATUS(EFIAPI *LocateHandleBuffer)
	(uint32_t how, const EFI_GUID *guid, void *key, UINTN *n_handles, EFI_HANDLE **handles);
	EFI_STATUS(EFIAPI *LocateProtocol)(const EFI_GUID *guid, void *registration, void **to);
	EFI_STATUS(EFIAPI *InstallMultipleProtocolInterfaces)(EFI_HANDLE *handle, ...);
	EFI_STATUS(EFIAPI *UninstallMultipleProtocolInterfaces)(EFI_HANDLE handle, ...);
	void *CalculateCrc32;
	void(EFIAPI *CopyMem)(void *dest, const void *src, UINTN len);
} EFI_BOOT_SERVICES;

/* 8 "Services - Runtime Services" */
enum { EFI_VARIABLE_BOOTSERVICE_ACCESS = 2, EFI_VARIABLE_RUNTIME_ACCESS = 4 };
enum { EfiResetShutdown = 2 };

typedef struct {
	EFI_TABLE_HEADER Hdr;
	void *GetTime, *SetTime, *GetWakeupTime, *SetWakeupTime;
	void *SetVirtualAddressMap, *ConvertPointer;
	EFI_STATUS(EFIAPI *GetVariable)
	(const CHAR16 *name, const EFI_GUID *vendor, uint32_t *attributes, UINTN *len, void *data);
	void *GetNextVariableName;
	EFI_STATUS(EFIAPI *SetVariable)
	(const CHAR16 *name, const EFI_GUID *vendor, uint32_t attributes, UINTN len,
	 const void *data);
	void *GetNextHighMonotonicCount;
	void(EFIAPI *ResetSystem)(uint32_t type, EFI_STATUS status, UINTN len, const void *data);
} EFI_RUNTIME_SERVICES;

/* 4.3 "EFI System Table" */
typedef struct {
	EFI_TABLE_HEADER Hdr;
	CHAR16 *FirmwareVendor;
	uint32_t FirmwareRevision;
	EFI_HANDLE ConsoleInHandle;
	void *ConIn;
	EFI_HANDLE ConsoleOutHandle;
	EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *ConOut;
	EFI_HANDLE StandardErrorHandle;
	EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *StdErr;
	EFI_RUNTIME_SERVICES *RuntimeServices;
	EFI_BOOT_SERVICES *BootServices;
	UINTN NumberOfTableEntries;
	void *ConfigurationTable;
} EFI_SYSTEM_TABLE;

/* 9 "Protocols - EFI Loaded Image" */
typedef struct {
	uint32_t Revision;
	EFI_HANDLE ParentHandle;
	EFI_SYSTEM_TABLE *SystemTable;
	EFI_HANDLE DeviceHandle;
	EFI_DEVICE_PATH_PROTOCOL *FilePath;
	void *Reserved;
	uint32_t LoadOptionsSize;
	void *LoadOptions;
	void *ImageBase;
	uint64_t ImageSize;
	uint32_t ImageCodeType;
	uint32_t ImageDataType;
	EFI_STATUS(EFIAPI *Unload)(EFI_HANDLE image);
} EFI_LOADED_IMAGE_PROTOCOL;

#define EFI_LOADED_IMAGE_PROTOCOL_GUID                                                             \
	{                                                                                          \
		0x5b1b31a1, 0x9562, 0x11d2,                                                        \
		{                                                                                  \
			0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b                             \
		}                                                                                  \
	}

/* 13.4 "Simple File System Protocol", 13.5 "File Protocol" */
#define EFI_FILE_MODE_READ UINT64_C(1)

typedef struct EFI_FILE_PROTOCOL {
	uint64_t Revision;
	EFI_STATUS(EFIAPI *Open)
	(struct EFI_FILE_PROTOCOL *self, struct EFI_FILE_PROTOCOL **file, const CHAR16 *name,
	 uint64_t mode, uint64_t attributes);
	EFI_STATUS(EFIAPI *Close)(struct EFI_FILE_PROTOCOL *self);
	void *Delete;
	EFI_STATUS(EFIAPI *Read)(struct EFI_FILE_PROTOCOL *self, UINTN *len, void *buf);
	void *Write;
	EFI_STATUS(EFIAPI *GetPosition)(struct EFI_FILE_PROTOCOL *self, uint64_t *pos);
	EFI_STATUS(EFIAPI *SetPosition)(struct EFI_FILE_PROTOCOL *self, uint64_t pos);
} EFI_FILE_PROTOCOL;

typedef struct EFI_SIMPLE_FILE_SYSTEM_PROTOCOL {
	uint64_t Revision;
	EFI_STATUS(EFIAPI *OpenVolume)
	(struct EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *self, EFI_FILE_PROTOCOL **root);
} EFI_SIMPLE_FILE_SYSTEM_PROTOCOL;

#define EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID                                                       \
	{                                                                                          \
		0x964e5b22, 0x6459, 0x11d2,                                                        \
		{                                                                                  \
			0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b                             \
		}                                                                                  \
	}

/* 13.9 "Block I/O Protocol" */
#define EFI_BLOCK_IO_PROTOCOL_REVISION UINT64_C(0x00010000)

typedef struct {
	uint32_t MediaId;
	BOOLEAN RemovableMedia;
	BOOLEAN MediaPresent;
	BOOLEAN LogicalPartition;
	BOOLEAN ReadOnly;
	BOOLEAN WriteCaching;
	uint32_t BlockSize;
	uint32_t IoAlign;
	EFI_LBA LastBlock;
	/* Only used from revision 2 of the protocol on; the disks here have revision 1. */
	EFI_LBA LowestAlignedLba;
	uint32_t LogicalBlocksPerPhysicalBlock;
	uint32_t OptimalTransferLengthGranularity;
} EFI_BLOCK_IO_MEDIA;

typedef struct EFI_BLOCK_IO_PROTOCOL {
	uint64_t Revision;
	EFI_BLOCK_IO_MEDIA *Media;
	EFI_STATUS(EFIAPI *Reset)(struct EFI_BLOCK_IO_PROTOCOL *self, BOOLEAN is_extended);
	EFI_STATUS(EFIAPI *ReadBlocks)
	(struct EFI_BLOCK_IO_PROTOCOL *self, uint32_t media_id, EFI_LBA lba, UINTN len, void *buf);
	EFI_STATUS(EFIAPI *WriteBlocks)
	(struct EFI_BLOCK_IO_PROTOCOL *self, uint32_t media_id, EFI_LBA lba, UINTN len, void *buf);
	EFI_STATUS(EFIAPI *FlushBlocks)(struct EFI_BLOCK_IO_PROTOCOL *self);
} EFI_BLOCK_IO_PROTOCOL;

#define EFI_BLOCK_IO_PROTOCOL_GUID                                                                 \
	{                                                                                          \
		0x964e5b21, 0x6459, 0x11d2,                                                        \
		{                                                                                  \
			0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b                             \
		}                                                                                  \
	}

/*
 * "TCG EFI Protocol Specification, Family 2.0", 6 "EFI TCG2 Protocol". The types of events are in
 * "TCG PC Client Platform Firmware Profile", 10.4.1.
 */
enum { EFI_TCG2_EVENT_HEADER_VERSION = 1, EV_IPL = 13 };

typedef struct {
	uint32_t HeaderSize;
	uint16_t HeaderVersion;
	uint32_t PCRIndex;
	uint32_t EventType;
} __attribute__((packed)) EFI_TCG2_EVENT_HEADER;

typedef struct {
	uint32_t Size; /* of the header and the text after it, with this member */
	EFI_TCG2_EVENT_HEADER Header;
} __attribute__((packed)) EFI_TCG2_EVENT;

typedef struct EFI_TCG2_PROTOCOL {
	void *GetCapability, *GetEventLog;
	EFI_STATUS(EFIAPI *HashLogExtendEvent)
	(struct EFI_TCG2_PROTOCOL *self, uint64_t flags, EFI_PHYSICAL_ADDRESS bytes, uint64_t len,
	 const EFI_TCG2_EVENT *event);
	EFI_STATUS(EFIAPI *SubmitCommand)
	(struct EFI_TCG2_PROTOCOL *self, uint32_t in_len, const uint8_t *in, uint32_t out_len,
	 uint8_t *out);
} EFI_TCG2_PROTOCOL;

#define EFI_TCG2_PROTOCOL_GUID                                                                     \
	{                                                                                          \
		0x607f766c, 0x7455, 0x42be,                                                        \
		{                                                                                  \
			0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f                             \
		}                                                                                  \
	}

#endif
